/** The mark: two strokes that dip and join. */
export function Logo({ size = 20 }: { readonly size?: number }) {
  return (
    <svg viewBox="0 0 16 16" width={size} height={size} aria-hidden focusable="false">
      <path
        d="M1.5 4.5c3 0 4 7 6.5 7s3.5-7 6.5-7M1.5 8c2.4 0 3.9 3.5 6.5 3.5S12.1 8 14.5 8"
        fill="none"
        stroke="var(--mantine-primary-color-filled)"
        strokeWidth="1.8"
        strokeLinecap="round"
      />
    </svg>
  )
}
