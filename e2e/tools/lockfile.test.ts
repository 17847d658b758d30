import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

interface Package {
  version: string
  dependencies?: Record<string, string>
  devDependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
  engines?: Record<string, string>
}

const json = (name: string) => JSON.parse(readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8'))
const packages: Record<string, Package> = json('package-lock.json').packages

test('package-lock.json is of this package.json', () => {
  const { dependencies, devDependencies, engines } = json('package.json')
  expect(packages['']).toMatchObject({ dependencies, devDependencies, engines })
})

test('package-lock.json lists the optional packages of every platform, without which npm ci refuses it there', () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages),
    ),
  )
  expect(missing).toEqual([])
})
