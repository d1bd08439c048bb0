// Errors a user can meet while an image is built or opened.

/** What went wrong, as one sentence for the user, saying what to do where something can be done. */
export class ImageError extends Error {
  override name = 'ImageError';
}

/** The home directory cannot be used: a full disk, no permission, a path that cannot be. */
export class HomeError extends ImageError {
  override name = 'HomeError';
}

/** What a host without Debian's packages can do; each with its command in docs/images.md. */
export const OTHER_SOURCES = 'make a template of a container image (offshoot template build NAME --from tar:FILE, where FILE is what '
  + '"docker export" writes) or of a directory (--from dir:PATH)';

/** Turns errors of the file system (no space, no permission) into one sentence; passes everything else on. */
export function explain(error: unknown, doing: string): Error {
  if (!(error instanceof Error) || error instanceof ImageError) return error as Error;
  const { code, path } = error as NodeJS.ErrnoException;
  const where = path === undefined ? '' : ` (${path})`;
  switch (code) {
    case 'ENOSPC': case 'EDQUOT':
      return new HomeError(`${doing}: the disk is full${where}; free some space or set OFFSHOOT_HOME to a directory with more`);
    case 'EACCES': case 'EPERM': case 'EROFS':
      return new HomeError(`${doing}: no permission to write${where}; set OFFSHOOT_HOME to a directory you may write to`);
    default:
      return error;
  }
}
