import { Anchor, Button, Center, Code, Group, Paper, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core'
import { useDocumentTitle } from '@mantine/hooks'
import { useMutation } from '@tanstack/react-query'
import { useLocation, useNavigate, useSearch } from '@tanstack/react-router'
import { useEffect, useRef, useState, type FormEvent } from 'react'
import { api, body, type Schemas } from '#api/client.ts'
import { queryClient } from '#app/query-client.ts'
import { sessionQuery } from '#app/session.ts'
import { CopyButton } from '#ui/copy.tsx'
import { Logo } from '#ui/logo.tsx'
import { Problem } from '#ui/problem.tsx'

/**
 * Signs in with a key, with the code of a sign-in link, or at the first start with the setup token. A code stands behind
 * the `#` of a link, which browsers send to nobody; it is forgotten once it was read.
 */
export function SignInPage() {
  useDocumentTitle('Sign in · Syncline')
  const [isFirst, setFirst] = useState(false)
  return (
    <Center mih="100dvh" p="md">
      <Stack w={400} gap="lg">
        <Group gap="xs">
          <Logo size={28} />
          <Title order={1}>Syncline</Title>
        </Group>
        {isFirst ? <FirstKey onBack={() => setFirst(false)} /> : <WithKey onFirst={() => setFirst(true)} />}
      </Stack>
    </Center>
  )
}

type Credentials = Schemas['SignInRequest']

function useSignIn() {
  const navigate = useNavigate()
  const { to } = useSearch({ from: '/sign-in' })
  return useMutation({
    meta: { shown: true },
    mutationFn: (credentials: Credentials) => body(api.POST('/api/v1/session', { body: credentials })),
    onSuccess: async (session) => {
      queryClient.clear()
      queryClient.setQueryData(sessionQuery.queryKey, session)
      // Only a place of our own: an address in a link may be anybody's.
      await navigate({ href: to !== undefined && /^\/(?![/\\])/.test(to) ? to : '/' })
    },
  })
}

function WithKey({ onFirst }: { readonly onFirst: () => void }) {
  const [key, setKey] = useState('')
  const signIn = useSignIn()
  const { mutate } = signIn
  const { hash: code } = useLocation()
  const read = useRef('')
  useEffect(() => {
    if (code === '' || read.current === code) return
    read.current = code
    history.replaceState(history.state, '', location.pathname + location.search)
    mutate({ code })
  }, [code, mutate])
  return (
    <form onSubmit={submit(() => signIn.mutate({ key: key.trim() }))}>
      <Stack gap="sm">
        <PasswordInput
          label="API key"
          autoFocus
          autoComplete="current-password"
          value={key}
          onChange={(event) => setKey(event.currentTarget.value)}
        />
        <Button type="submit" size="sm" loading={signIn.isPending} disabled={key.trim() === ''}>
          Sign in
        </Button>
        {signIn.error !== null && <Problem error={signIn.error} />}
        <Text size="sm" className="quiet">
          The first start of the service?{' '}
          <Anchor component="button" type="button" size="sm" onClick={onFirst}>
            Make the first key
          </Anchor>
        </Text>
      </Stack>
    </form>
  )
}

function FirstKey({ onBack }: { readonly onBack: () => void }) {
  const [token, setToken] = useState('')
  const [name, setName] = useState('admin')
  const make = useMutation({
    meta: { shown: true },
    mutationFn: () => body(api.POST('/api/v1/setup', { body: { token: token.trim(), name } })),
  })
  const signIn = useSignIn()
  if (make.data !== undefined) {
    const { key } = make.data
    return (
      <Stack gap="sm">
        <Text size="sm">This is the key. It is shown this once: keep it where you keep passwords.</Text>
        <Paper withBorder p="xs">
          <Code block>{key}</Code>
          <CopyButton text={key}>Copy the key</CopyButton>
        </Paper>
        <Button size="sm" loading={signIn.isPending} onClick={() => signIn.mutate({ key })}>
          I have kept it: sign in
        </Button>
        {signIn.error !== null && <Problem error={signIn.error} />}
      </Stack>
    )
  }
  return (
    <form onSubmit={submit(() => make.mutate())}>
      <Stack gap="sm">
        <Text size="sm" className="quiet">
          <Code>syncline serve</Code> prints a setup token at its first start. It is good for fifteen minutes, and once.
        </Text>
        <TextInput
          label="Setup token"
          autoFocus
          autoComplete="off"
          value={token}
          onChange={(event) => setToken(event.currentTarget.value)}
        />
        <TextInput label="Name of the key" value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <Group gap="xs" grow>
          <Button size="sm" variant="default" onClick={onBack}>
            Back
          </Button>
          <Button size="sm" type="submit" loading={make.isPending} disabled={token.trim() === '' || name.trim() === ''}>
            Make the key
          </Button>
        </Group>
        {make.error !== null && <Problem error={make.error} />}
      </Stack>
    </form>
  )
}

function submit(act: () => void): (event: FormEvent) => void {
  return (event) => {
    event.preventDefault()
    act()
  }
}
