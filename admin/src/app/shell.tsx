import { ActionIcon, AppShell, Burger, Group, Kbd, NavLink, Text, UnstyledButton } from '@mantine/core'
import { useDisclosure, useHotkeys } from '@mantine/hooks'
import { IconChevronsLeft, IconChevronsRight, IconCommand } from '@tabler/icons-react'
import { Link, Outlet, useLocation } from '@tanstack/react-router'
import { lazy, Suspense, useEffect } from 'react'
import { PLACES } from '#app/navigation.ts'
import { openPalette } from '#app/open-palette.ts'
import { useGoTo } from '#app/use-go-to.ts'
import { useKept } from '#lib/kept.ts'
import { Logo } from '#ui/logo.tsx'
import classes from './shell.module.css'

const Palette = lazy(async () => ({ default: (await import('#app/palette.tsx')).Palette }))
const HeaderMenus = lazy(async () => ({ default: (await import('#app/header-menus.tsx')).HeaderMenus }))
const Shortcuts = lazy(async () => ({ default: (await import('#app/shortcuts.tsx')).Shortcuts }))

/** What is around every page: the navigation, the palette, and who is signed in. */
export function Shell() {
  const [opened, { toggle, close }] = useDisclosure(false)
  const [narrow, setNarrow] = useKept('navigation.narrow', false)
  const [help, { open: openHelp, close: closeHelp }] = useDisclosure(false)
  const { pathname } = useLocation()
  useEffect(close, [pathname, close])
  useGoTo()
  useHotkeys([
    ['mod+K', openPalette],
    ['shift+?', openHelp],
  ])
  return (
    <AppShell
      header={{ height: 48, collapsed: false }}
      navbar={{ width: narrow ? 60 : 220, breakpoint: 'sm', collapsed: { mobile: !opened } }}
      padding="lg"
      transitionDuration={100}
    >
      <a href="#main" className={classes['skip']}>
        Skip to content
      </a>
      <AppShell.Header className={classes['header']}>
        <Group gap="sm">
          <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Navigation" />
          <Link to="/" className={classes['brand']}>
            <Logo />
            <Text fw={600}>Syncline</Text>
          </Link>
        </Group>
        <UnstyledButton className={classes['search']} onClick={openPalette} visibleFrom="sm">
          <IconCommand size={14} aria-hidden />
          <span>Search or go to</span>
          <Kbd size="xs">Ctrl K</Kbd>
        </UnstyledButton>
        <Group gap={4} justify="flex-end" miw={120}>
          <Suspense>
            <HeaderMenus />
          </Suspense>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar className={classes['navigation']} aria-label="Pages">
        <div className={classes['places']}>
          {PLACES.map(({ to, word, icon: Shape }) => (
            <NavLink
              key={to}
              component={Link}
              to={to}
              label={narrow ? undefined : word}
              aria-label={word}
              title={narrow ? word : undefined}
              leftSection={<Shape size={18} stroke={1.6} aria-hidden />}
              active={to === '/' ? pathname === '/' : pathname === to || pathname.startsWith(`${to}/`)}
              variant="light"
            />
          ))}
        </div>
        <Group p="xs" visibleFrom="sm">
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={narrow ? 'Widen the navigation' : 'Narrow the navigation'}
            onClick={() => setNarrow(!narrow)}
          >
            {narrow ? <IconChevronsRight size={16} /> : <IconChevronsLeft size={16} />}
          </ActionIcon>
        </Group>
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1} className={classes['main']}>
        <Outlet />
      </AppShell.Main>
      <Suspense>
        <Palette />
        {help && <Shortcuts onClose={closeHelp} />}
      </Suspense>
    </AppShell>
  )
}
