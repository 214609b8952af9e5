import "./served"; // before whatever asks
import { show } from "./show";

show();
