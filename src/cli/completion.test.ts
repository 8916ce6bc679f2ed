import { execFileSync } from 'node:child_process'
import { Command } from 'commander'
import { expect, test } from 'vitest'
import { completionScript } from './completion.ts'

function program(): Command {
  const root = new Command('syncline').helpCommand(false)
  const jobs = root.command('jobs').helpCommand(false).description("the service's jobs")
  jobs.command('list').description('all: the newest first').option('--status <status>', 'only these')
  jobs.command('watch')
  root.command('sync').option('--yes', 'agree')
  root.command('job-process', { hidden: true })
  return root
}

/** What bash offers for the last of some words. */
function complete(...words: string[]): string[] {
  const script = `${completionScript(program(), 'bash')}
    COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
    _syncline; printf '%s\\n' "\${COMPREPLY[@]}"`
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).split('\n').filter(Boolean)
}

test('bash completes commands, those below them, and options', () => {
  expect(complete('syncline', '')).toEqual(['jobs', 'sync', '--help'])
  expect(complete('syncline', 's')).toEqual(['sync'])
  expect(complete('syncline', 'jobs', '')).toEqual(['list', 'watch', '--help'])
  expect(complete('syncline', 'jobs', 'list', '--s')).toEqual(['--status'])
  expect(complete('syncline', 'sync', 'list', '--')).toEqual(['--yes', '--help'])
})

test('hidden commands are not offered', () => {
  for (const shell of ['bash', 'zsh', 'fish'] as const) {
    expect(completionScript(program(), shell)).not.toContain('job-process')
  }
})

test('a description with quotes and colons stays one word of the script', () => {
  expect(completionScript(program(), 'zsh')).toContain(`'jobs:the service'\\''s jobs'`)
  expect(completionScript(program(), 'fish')).toContain(String.raw`-d 'the service\'s jobs'`)
})
