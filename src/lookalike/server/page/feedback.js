// Decisions about pictures: made, said, and taken back.

import { send } from "./api.js";
import { say, trying } from "./toasts.js";

const made = [];   // what can be taken back, the latest last

/** Decide; false where the server refused (which is said). `back` brings the screen to what it was before. */
export async function decide(decision, sentence, back) {
  const answer = await trying(() => send("POST", "feedback", decision));
  if (answer === undefined) return false;
  const one = { decision, back };
  made.push(one);
  say(sentence, { kind: "hint", undo: () => takeBack(one) });
  return true;
}

/** Take the latest decision back. */
export function undo() {
  const one = made.at(-1);
  if (one) takeBack(one); else say("There is nothing to undo.", { kind: "hint" });
}

async function takeBack(one) {
  if (!made.includes(one)) return;
  const answer = await trying(() => send("DELETE", "feedback", one.decision));
  if (answer === undefined) return;
  made.splice(made.indexOf(one), 1);
  one.back();
  say("Taken back.", { kind: "hint" });
}
