import { expect, test } from 'vitest'
import { Requests } from './requests.ts'

const call = (name: string) => ({ call: name, args: [] })
const code = (promise: Promise<unknown>) => promise.then(String, ({ code, message }) => `${code} ${message}`)

test('requests are taken in order, and each is answered once', async () => {
  const requests = new Requests()
  const answers = [requests.ask(call('a')), requests.ask(call('b'))]
  const first = (await requests.next())!
  expect(first.request).toEqual(call('a'))
  first.answer(1)
  first.fail({ code: 'EINVAL', detail: 'too late' })
  const second = await requests.next()
  second!.fail({ code: 'ENOENT', path: 'b', detail: 'no b' })
  expect(await answers[0]).toBe(1)
  expect(await code(answers[1]!)).toMatch(/^ENOENT .*no b.*'b'/)
})

test('one that comes late finds who waits for it', async () => {
  const requests = new Requests()
  const next = requests.next()
  const answer = requests.ask(call('a'))
  ;(await next)!.answer('done')
  expect(await answer).toBe('done')
})

test('the end refuses what was asked, what is under way and what comes later, and ends the waiting', async () => {
  const requests = new Requests()
  const asked = [requests.ask(call('a')), requests.ask(call('b'))].map(code)
  await requests.next()
  const next = requests.next()
  await next
  requests.close('it is over')
  requests.close('again')
  for (const each of await Promise.all([...asked, code(requests.ask(call('c')))]))
    expect(each).toMatch(/^ESRCH .*it is over/)
  expect(await requests.next()).toBeUndefined()
})
