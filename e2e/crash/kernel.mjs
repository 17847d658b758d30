/** The kernel's Worker, which tells what it does in IndexedDB. */
import './watch.mjs'
import '/lib/kernel.worker.js'
