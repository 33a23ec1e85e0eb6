// A field for a pattern, with the patterns that are wanted most.

import { Input } from "../components/form";
import { NAME_PRESETS, PRESETS } from "./patterns";

interface PatternInputProps {
  label: string;
  hint: string;
  value: string;
  onInput: (value: string) => void;
  /** Whether it is for routing keys, not for names. */
  ofTopics?: boolean;
}

export function PatternInput({ label, hint, value, onInput, ofTopics }: PatternInputProps) {
  return (
    <div class="pattern-input">
      <Input label={label} name={label.toLowerCase()} value={value} onInput={onInput} hint={hint} />
      <div class="chips">
        {(ofTopics ? PRESETS : NAME_PRESETS).map((preset) => (
          <button key={preset.label} type="button" class="chip" aria-label={`${label}: ${preset.label}`} aria-pressed={value === preset.pattern} onClick={() => onInput(preset.pattern)}>{preset.label}</button>
        ))}
      </div>
    </div>
  );
}

export function PatternText({ of }: { of: string }) {
  if (of === "") return <span class="soft">nothing</span>;
  return <code title={of === ".*" ? "everything" : undefined}>{of}</code>;
}
