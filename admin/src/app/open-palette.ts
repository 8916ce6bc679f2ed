/** Opens the palette once it is loaded: it is not part of what a page needs to be shown. */
export function openPalette(): void {
  void import('@mantine/spotlight').then(({ spotlight }) => spotlight.open())
}
