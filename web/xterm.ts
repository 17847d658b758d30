/// <reference types="vite/client" />
/** The parts of xterm.js that the playground has: a chunk of its own, for those who want a terminal. */
import '@xterm/xterm/css/xterm.css'

export { FitAddon } from '@xterm/addon-fit'
export { Terminal } from '@xterm/xterm'
