// Forms: fields with labels and hints, and a button that says how it went.

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { explain } from "./notices";

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
}

/** Draws the label and the hint of a field whose control takes `id` and `describedBy`. */
function Field(props: FieldProps & { control: (id: string, describedBy: string | undefined) => ComponentChildren; isCheck?: boolean }) {
  const id = useId();
  const hintId = props.hint ? `${id}-hint` : undefined;
  return (
    <div class={props.isCheck ? "field check" : "field"}>
      <label for={id}>{props.label}</label>
      {props.control(id, hintId)}
      {props.hint && <small id={hintId}>{props.hint}</small>}
    </div>
  );
}

interface InputProps extends FieldProps {
  name: string;
  value?: string | number | undefined;
  type?: "text" | "number" | "password" | "search";
  required?: boolean;
  placeholder?: string;
  min?: number;
  max?: number;
  /** Suggestions. */
  list?: string[];
  autocomplete?: string;
  onInput?: (value: string) => void;
}

export function Input({ label, hint, list, onInput, value, ...rest }: InputProps) {
  // Which attributes go with which type is not known before it is.
  const attributes: object = rest;
  const listId = useId();
  return (
    <Field
      label={label}
      hint={hint}
      control={(id, describedBy) => (
        <>
          <input
            id={id}
            aria-describedby={describedBy}
            list={list && listId}
            spellcheck={false}
            autocapitalize="off"
            autocomplete={rest.autocomplete ?? "off"}
            {...attributes}
            {...(onInput ? { value: value ?? "" } : { defaultValue: value ?? "" })}
            onInput={onInput && ((event) => onInput(event.currentTarget.value))}
          />
          {list && <datalist id={listId}>{list.map((option) => <option key={option} value={option} />)}</datalist>}
        </>
      )}
    />
  );
}

export function TextArea({ label, hint, value, ...rest }: FieldProps & { name: string; value?: string; rows?: number; required?: boolean; placeholder?: string }) {
  return (
    <Field
      label={label}
      hint={hint}
      control={(id, describedBy) => (
        <textarea id={id} aria-describedby={describedBy} spellcheck={false} defaultValue={value ?? ""} {...rest} />
      )}
    />
  );
}

type Options = (string | { value: string; label: string })[];

interface SelectProps extends FieldProps {
  name: string;
  options: Options;
  value?: string | undefined;
  onChange?: (value: string) => void;
}

export function Select({ label, hint, name, options, value, onChange }: SelectProps) {
  return (
    <Field
      label={label}
      hint={hint}
      control={(id, describedBy) => (
        <select id={id} name={name} aria-describedby={describedBy} onChange={onChange && ((event) => onChange(event.currentTarget.value))}>
          {options.map((option) => {
            const { value: each, label: text } = typeof option === "string" ? { value: option, label: option } : option;
            return <option key={each} value={each} selected={each === value}>{text}</option>;
          })}
        </select>
      )}
    />
  );
}

export function Check({ label, hint, name, checked }: FieldProps & { name: string; checked?: boolean }) {
  return (
    <Field
      label={label}
      hint={hint}
      isCheck
      control={(id, describedBy) => <input id={id} type="checkbox" name={name} aria-describedby={describedBy} defaultChecked={checked ?? false} />}
    />
  );
}

/** What a form holds when it is sent. */
export class Values {
  constructor(private readonly data: FormData) {}

  text(name: string): string {
    const value = this.data.get(name);
    return typeof value === "string" ? value : "";
  }

  isSet(name: string): boolean {
    return this.data.get(name) !== null;
  }

  /** `undefined` if nothing was entered. */
  number(name: string): number | undefined {
    const text = this.text(name).trim();
    return text === "" ? undefined : Number(text);
  }

  file(name: string): File | undefined {
    const value = this.data.get(name);
    return value instanceof File && value.size > 0 ? value : undefined;
  }
}

interface FormProps {
  /** The words on the button. */
  action: string;
  /** Throws with words for the user if it cannot be done. */
  onSubmit: (values: Values) => Promise<void> | void;
  children: ComponentChildren;
  destroys?: boolean;
  /** Whether the fields are emptied once it is done. */
  resets?: boolean;
  class?: string;
  buttons?: ComponentChildren;
}

export function Form(props: FormProps) {
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    setError("");
    setBusy(true);
    try {
      await props.onSubmit(new Values(new FormData(form)));
      if (props.resets) form.reset();
    } catch (error) {
      setError(explain(error));
    }
    setBusy(false);
  };
  return (
    <form class={props.class} onSubmit={submit}>
      {props.children}
      {error && <p class="failure" role="alert">{error}</p>}
      <div class="buttons">
        {props.buttons}
        <button type="submit" class={props.destroys ? "danger" : "primary"} disabled={isBusy}>{props.action}</button>
      </div>
    </form>
  );
}
