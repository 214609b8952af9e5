import "./shelved"; // before whatever asks
import { show } from "../show";

show();
