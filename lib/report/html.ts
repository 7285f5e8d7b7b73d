const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Text for an element or an attribute in double quotes. Groups and tenants are named by whoever wrote the labels. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => entities[char]!)
}

export interface HtmlColumn<Row> {
  title: string
  /** Numbers stand to the right. */
  number?: true
  value: (row: Row) => string
}

export function htmlTable<Row>(columns: readonly HtmlColumn<Row>[], rows: readonly Row[]): string {
  const cell = (tag: 'th' | 'td', { number }: HtmlColumn<Row>, text: string): string =>
    `<${tag}${number ? ' class="number"' : ''}${tag === 'th' ? ' scope="col"' : ''}>${escapeHtml(text)}</${tag}>`
  const line = (cells: string[]): string => `<tr>${cells.join('')}</tr>`
  return [
    '<div class="table"><table><thead>',
    line(columns.map((column) => cell('th', column, column.title))),
    '</thead><tbody>',
    ...rows.map((row) => line(columns.map((column) => cell('td', column, column.value(row))))),
    '</tbody></table></div>',
  ].join('\n')
}
