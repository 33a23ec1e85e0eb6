// A text that the user types while it may also come from elsewhere, such as the address.

import { useRef, useState } from "preact/hooks";

/** The text, which a new `value` replaces. At once: an effect could come after the first letters were typed. */
export function useTyped(value: string): [string, (text: string) => void] {
  const [text, setText] = useState(value);
  const given = useRef(value);
  if (given.current !== value) {
    given.current = value;
    setText(value);
    return [value, setText];
  }
  return [text, setText];
}
