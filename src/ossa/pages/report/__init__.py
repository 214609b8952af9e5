"""The report on the hands of one person: a page, and the same page as a PDF."""
