/**
 * The playground: boots a session, and connects the form, the output, the mounts and the files to it. One program runs at a time;
 * while one does, Run is off and Stop is on.
 */
import type { ExitStatus } from '../src/client/index.ts'
import { confirmed } from './ask.ts'
import { byId, messageOf, onDrop, onPress, setEnabled } from './dom.ts'
import { FilesPanel } from './files-panel.ts'
import { formatCount, formatDuration } from './format.ts'
import { drawMounts } from './mounts-view.ts'
import { OutputView } from './output-view.ts'
import { Session, type Step } from './session.ts'
import { SetupForm } from './setup-form.ts'
import { TerminalView } from './terminal-view.ts'

/** How long a program may take to die before the page says that it cannot be stopped, in ms. */
const PATIENCE = 1500

const output = new OutputView()
const terminal = new TerminalView((bytes) => output.push('stdout', bytes))
const form = new SetupForm(() => terminal.prepare())
const files = new FilesPanel()

const runButton = byId('run', HTMLButtonElement)
const stopButton = byId('stop', HTMLButtonElement)
const status = byId('status', HTMLElement)
const progress = byId('progress', HTMLProgressElement)
const platform = byId('platform', HTMLElement)

let session: Promise<Session> = boot()
// boot() has told of the failure; who waits for a session hears of it again.
session.catch(() => {})
let running = false
/** Which run it is, so that what was meant for one does not reach the next. */
let turn = 0
/** Set when the page itself ends a run by ending its sandbox. */
let restarting = false

void form.restore()

async function boot(): Promise<Session> {
  showPlatform('booting…', '')
  try {
    const source = await fetch('./example/hello.c').then(
      (response) => (response.ok ? response.text() : undefined),
      () => undefined,
    )
    const opened = await Session.open(source)
    const { sandbox, container } = opened
    showPlatform(sandbox.platform, sandbox.reason)
    form.typesAhead = opened.typesAhead
    for (const warning of container.warnings) output.note(`Container: ${warning}`)
    await showFiles(opened, true)
    return opened
  } catch (error) {
    showPlatform('none', messageOf(error))
    setStatus('failed', 'The sandbox did not start')
    output.note(`The sandbox did not start: ${messageOf(error)}. “Restart sandbox…” tries again.`)
    throw error
  }
}

function showPlatform(name: string, reason: string): void {
  platform.querySelector('b')?.replaceChildren(name)
  platform.querySelector('span')?.replaceChildren(reason)
  platform.title = reason
  byId('help-platform', HTMLElement).textContent = reason === '' ? 'The sandbox is booting.' : `${name}: ${reason}`
}

async function showFiles(current: Session, attach: boolean): Promise<void> {
  const mounts = await current.container.mounts()
  drawMounts(mounts)
  if (attach) await files.attach(current.container, mounts)
  else await files.refresh(mounts)
}

async function run(): Promise<void> {
  if (running) return
  running = true
  const request = await form.request()
  if (!request) {
    running = false
    return
  }
  turn++
  restarting = false
  setButtons()
  output.clear()
  output.reveal()
  terminal.close()
  output.streams = !request.terminal
  setNumbers('–', '–', '–')
  setStatus('busy', 'Waiting for the sandbox')
  const current = await session.catch(() => undefined)
  try {
    if (!current) throw new Error('there is no sandbox. “Restart sandbox…” tries again')
    const screen = request.terminal ? await terminal.open() : undefined
    const ended = await current.run(request, {
      // A last word of progress may come by its own channel after the news that the run has failed.
      step: (step) => running && showStep(step),
      output: (stream, bytes) => output.push(stream, bytes),
      screen,
    })
    output.end()
    showEnd(ended)
    setNumbers(String(ended.exitCode), formatDuration(ended.wallTime), formatCount(ended.syscalls))
  } catch (error) {
    output.end()
    const why = restarting ? 'Ended, because the sandbox was restarted' : `Could not run: ${messageOf(error)}`
    setStatus('failed', why)
    terminal.end(why)
    output.note(why)
  } finally {
    running = false
    showProgress(undefined)
    setButtons()
  }
  if (current && !restarting) await showFiles(current, false).catch((error) => output.note(messageOf(error)))
}

function showEnd({ exitCode, signal, reason }: ExitStatus): void {
  const how = signal ? `Ended by ${signal}` : `Exited with ${exitCode}`
  const text = reason ? `${how}: ${reason}` : how
  setStatus(exitCode === 0 ? 'ok' : 'failed', text)
  terminal.end(text)
  if (exitCode !== 0 || reason) output.note(text)
}

async function stop(): Promise<void> {
  setStatus('busy', 'Stopping')
  const mine = turn
  const current = await session.catch(() => undefined)
  setTimeout(() => {
    if (!running || turn !== mine) return
    const where = `The program computes without pause, and platform ${current?.sandbox.platform} cannot interrupt that.`
    setStatus('busy', `${where} Restart the sandbox to end it.`)
    void restart(`${where} Restarting ends it, and the files in memory are lost.`)
  }, PATIENCE)
  try {
    await current?.stop()
  } catch (error) {
    if (!restarting) output.note(`Could not stop it: ${messageOf(error)}`)
  }
}

async function restart(text: string): Promise<void> {
  if (!(await confirmed({ title: 'Restart the sandbox?', text, action: 'Restart' }))) return
  restarting = running
  const old = session
  session = old
    .then(
      (opened) => opened.close(),
      () => {},
    )
    .then(boot)
  session.then(
    () => !running && setStatus('idle', 'Ready, with a new sandbox'),
    () => {},
  )
}

function showStep(step: Step): void {
  setStatus('busy', step.text)
  showProgress(step)
}

/** Shows a bar for a step under way: how much is done, or, if that is not known, that something is. */
function showProgress(step: Step | undefined): void {
  progress.classList.toggle('shown', step !== undefined && step.part !== 1)
  if (step?.part === undefined) progress.removeAttribute('value')
  else progress.value = step.part
}

function setStatus(state: 'idle' | 'busy' | 'ok' | 'failed', text: string): void {
  status.dataset.state = state
  status.textContent = text
  status.title = text
}

function setNumbers(exitCode: string, wallTime: string, syscalls: string): void {
  byId('exit-code', HTMLElement).textContent = exitCode
  byId('wall-time', HTMLElement).textContent = wallTime
  byId('syscalls', HTMLElement).textContent = syscalls
}

function setButtons(): void {
  setEnabled(runButton, !running, running ? 'A program is running' : '')
  setEnabled(stopButton, running, running ? '' : 'No program is running')
}

byId('setup', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault()
  void run()
})
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey) || document.querySelector('dialog[open]')) return
  event.preventDefault()
  void run()
})
onPress(stopButton, () => void stop())
onPress(
  byId('restart', HTMLButtonElement),
  () => void restart('All files in memory are lost, and a running program ends.'),
)
onPress(byId('help-open', HTMLButtonElement), () => byId('help', HTMLDialogElement).showModal())
onPress(byId('welcome-example', HTMLButtonElement), async () => {
  if (await form.useExample()) await run()
})
// A file dropped beside its place would be opened in place of the page.
onDrop(document.documentElement, {
  drop: ([first], at) => {
    if (first && !at.closest('#tree, #program-drop') && /\.wasm$/i.test(first.name)) void form.choose(first)
  },
})
setButtons()
