/** The page's one dialog: a question, or a question for a name. Escape and Cancel answer no; while one
 * question is open, the answer to any other is no. */
import { byId } from './dom.ts'

export interface Question {
  readonly title: string
  readonly text: string
  /** What the button that agrees says. */
  readonly action: string
}

export interface NameQuestion extends Question {
  readonly label: string
  /** Why a name will not do, or undefined. */
  readonly check: (name: string) => string | undefined
}

export async function confirmed(question: Question): Promise<boolean> {
  return (await ask(question)) !== undefined
}

/** The name, or undefined if none was given. */
export function askName(question: NameQuestion): Promise<string | undefined> {
  return ask(question)
}

function ask(question: Question & Partial<NameQuestion>): Promise<string | undefined> {
  const dialog = byId('ask', HTMLDialogElement)
  if (dialog.open) return Promise.resolve(undefined)
  const form = dialog.querySelector('form') as HTMLFormElement
  const input = byId('ask-input', HTMLInputElement)
  const fault = byId('ask-fault', HTMLElement)
  const field = byId('ask-field', HTMLElement)
  const text = byId('ask-text', HTMLElement)

  byId('ask-title', HTMLElement).textContent = question.title
  byId('ask-ok', HTMLButtonElement).textContent = question.action
  text.textContent = question.text
  text.hidden = question.text === ''
  field.hidden = question.check === undefined
  field.querySelector('label')?.replaceChildren(question.label ?? '')
  const setFault = (why: string | undefined) => {
    fault.textContent = why ?? ''
    input.setAttribute('aria-invalid', String(why !== undefined))
  }
  input.value = ''
  setFault(undefined)

  const done = new AbortController()
  const { signal } = done
  return new Promise((resolve) => {
    input.addEventListener('input', () => setFault(undefined), { signal })
    form.addEventListener(
      'submit',
      (event) => {
        const why = question.check?.(input.value)
        if (why === undefined) return
        event.preventDefault()
        setFault(why)
      },
      { signal },
    )
    byId('ask-cancel', HTMLButtonElement).addEventListener('click', () => dialog.close(''), { signal })
    dialog.addEventListener(
      'close',
      () => {
        done.abort()
        resolve(dialog.returnValue === 'ok' ? input.value : undefined)
      },
      { signal },
    )
    dialog.returnValue = ''
    dialog.showModal()
    // Nothing is destroyed by an Enter too many: a plain question starts on Cancel.
    ;(question.check ? input : byId('ask-cancel', HTMLButtonElement)).focus()
  })
}
