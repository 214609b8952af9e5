"""Decoding of logits, which lives in segmentation.decode (training validates with it too)."""

from __future__ import annotations

from ossa.segmentation.decode import Taps, decode, interpolate, logit, resample_logits, taps, threshold_logits

__all__ = ["Taps", "decode", "interpolate", "logit", "resample_logits", "taps", "threshold_logits"]
