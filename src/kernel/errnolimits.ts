// The limits whose passing is an errno: what of them a sandbox has run into, and what its owner's sandboxes may have together.
//
// Interface: ErrnoLimits, one per kernel; OwnersBudget, which the engine may put behind it.

/** Pages of files, inodes, tasks, open files. */
export type Counted = 'diskPages' | 'inodes' | 'processes' | 'files';

/** What several sandboxes have together. Amounts are of one sandbox, and whole. */
export interface OwnersBudget {
  /** It has `amount` of it now; false, and nothing is changed, when that is more than before and too much of all together. */
  hold(what: Counted, amount: number): boolean;
  /** It has `amount`, whatever that means for the others. */
  note(what: Counted, amount: number): void;
}

export class ErrnoLimits {
  /** Null: nobody else counts. Not saved. */
  owner: OwnersBudget | null = null;
  /** Limits that calls ran into, by their names as users know them, with how often; an owner's begin with "tenant.". Not saved. */
  readonly met = new Map<string, number>();

  /** Whether the sandbox may have `amount` of something of which it may have `max`. */
  allow(what: Counted, amount: number, max: number): boolean {
    const isWithin = amount <= max;
    if (isWithin && (this.owner === null || this.owner.hold(what, amount))) return true;
    this.meet(what, !isWithin);
    return false;
  }

  /** A call failed for it. `isOwn`: by the sandbox's own limit. */
  meet(what: Counted, isOwn = true): void {
    const name = what === 'diskPages' ? 'diskBytes' : what;
    const full = isOwn ? name : `tenant.${name}`;
    this.met.set(full, (this.met.get(full) ?? 0) + 1);
  }

  /** The names, of what was met since it was `before`. */
  namesSince(before: ReadonlyMap<string, number> = new Map()): string[] {
    return [...this.met].filter(([name, count]) => count > (before.get(name) ?? 0)).map(([name]) => name);
  }
}
