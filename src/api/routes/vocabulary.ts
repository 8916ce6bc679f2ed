import type { Api } from '#api/context.ts'
import { Rules, Transforms } from '#api/contract/vocabulary.ts'
import { ruleWords, transformWords } from '#sync/vocabulary.ts'

const tags = ['sync configs']

/** What field mappings may be made of. */
export function vocabularyRoutes(api: Api): void {
  api.route({
    method: 'GET',
    url: '/transforms',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'List the transforms that a field mapping may name, with their arguments',
      response: { 200: Transforms },
    },
    handler: async () => ({
      items: transformWords().map(({ example, ...word }) => ({
        ...word,
        arguments: [...word.arguments],
        example: { ...example, input: [...example.input] },
      })),
    }),
  })
  api.route({
    method: 'GET',
    url: '/rules',
    config: { access: 'viewer' },
    schema: { tags, summary: 'List the kinds of data rules that a field mapping may have', response: { 200: Rules } },
    handler: async () => ({ items: ruleWords() }),
  })
}
