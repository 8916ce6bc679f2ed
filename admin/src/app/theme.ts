import { createTheme, type MantineColorsTuple } from '@mantine/core'

/** Ground and lines: a slate that leans to neither side. */
const slate: MantineColorsTuple = [
  '#f7f9fa',
  '#eef1f3',
  '#dfe4e8',
  '#c9d1d7',
  '#a3afb8',
  '#768591',
  '#56646f',
  '#404c56',
  '#2b343b',
  '#1a2126',
]

const dark: MantineColorsTuple = [
  '#d3dadf',
  '#aab5bd',
  '#8a97a1',
  '#5d6a74',
  '#3d4850',
  '#2c353c',
  '#222a30',
  '#191f24',
  '#13181c',
  '#0d1114',
]

/** The accent: for the primary action and what is selected, and for nothing else. */
const teal: MantineColorsTuple = [
  '#eefbf8',
  '#d3f4ed',
  '#a5e8db',
  '#6fd8c6',
  '#41c4af',
  '#22ac98',
  '#15907f',
  '#107a6d',
  '#0e675d',
  '#0b524a',
]

/** What destroys something: dark enough under white, and on white, to be read. */
const red: MantineColorsTuple = [
  '#fdeceb',
  '#fad4d2',
  '#f4a9a5',
  '#ee7f79',
  '#f2837d',
  '#dd4f47',
  '#cc3a32',
  '#b3261e',
  '#98201a',
  '#7d1a15',
]

export const theme = createTheme({
  primaryColor: 'teal',
  primaryShade: { light: 7, dark: 7 },
  colors: { gray: slate, dark, teal, red },
  fontFamily: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif",
  fontFamilyMonospace: "ui-monospace, 'SF Mono', Menlo, Consolas, 'Liberation Mono', monospace",
  fontSizes: { xs: '0.75rem', sm: '0.8125rem', md: '0.875rem', lg: '1rem', xl: '1.25rem' },
  headings: {
    fontWeight: '600',
    sizes: { h1: { fontSize: '1.25rem' }, h2: { fontSize: '1rem' }, h3: { fontSize: '0.875rem' } },
  },
  defaultRadius: 'sm',
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: {
    Button: { defaultProps: { size: 'xs' } },
    TextInput: { defaultProps: { size: 'sm' } },
    Select: { defaultProps: { size: 'sm', allowDeselect: false } },
    Modal: {
      defaultProps: { centered: true, transitionProps: { duration: 100 }, closeButtonProps: { 'aria-label': 'Close' } },
    },
    Drawer: {
      defaultProps: {
        position: 'right',
        transitionProps: { duration: 100 },
        closeButtonProps: { 'aria-label': 'Close' },
      },
    },
    Menu: { defaultProps: { transitionProps: { duration: 100 }, shadow: 'sm' } },
    Notification: { defaultProps: { closeButtonProps: { 'aria-label': 'Close' } } },
    Tooltip: { defaultProps: { openDelay: 300, withArrow: true } },
  },
})
