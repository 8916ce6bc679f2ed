/** A program on this machine that is asked by webhooks, and answers as it is told. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { Networks } from '#lib/network-address.ts'

/** The receivers of the tests are here, where webhooks go only if an administrator says so. */
export const LOOPBACK = new Networks(['127.0.0.0/8'])

export interface Asked {
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
  /** The conflict, as the body has it. */
  readonly conflict: { readonly id: string; readonly key: readonly string[] } & Readonly<Record<string, unknown>>
}

export type AnswerWith = (response: ServerResponse, asked: Asked) => unknown

export class WebhookReceiver implements AsyncDisposable {
  readonly asked: Asked[] = []
  /** What is answered from now on. */
  answer: AnswerWith = decide({ resolution: 'source' })
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8')
      const { data } = JSON.parse(body) as { data: { conflict: Asked['conflict'] } }
      const asked = { path: request.url ?? '', headers: request.headers, body, conflict: data.conflict }
      this.asked.push(asked)
      void this.answer(response, asked)
    })
  })

  static async start(): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver()
    await new Promise<void>((done) => receiver.#server.listen(0, '127.0.0.1', done))
    return receiver
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/conflicts`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((done) => this.#server.close(done))
  }
}

/** Answers 200 with JSON. */
export function decide(answer: unknown): AnswerWith {
  return (response) => {
    response.setHeader('content-type', 'application/json')
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer))
  }
}

/** Answers with a status and nothing else. */
export function status(code: number, headers: Readonly<Record<string, string>> = {}): AnswerWith {
  return (response) => response.writeHead(code, headers).end()
}
