export interface Lock {
  release(): Promise<void>
}
/** `name` is any string, such as the path of what is locked; `onWait` is called once when another process holds it. */
export function acquireLock(name: string, onWait?: () => void): Promise<Lock>
