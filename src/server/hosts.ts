// Which Host and Origin a request may name. On loopback a browser on this machine could be made to call the service by any web page:
// by its own origin, or by a name that was made to point here.

import { ServiceError } from './errors.ts';
import type { Settings } from './settings.ts';

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/** Whether only this machine reaches an address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** What checks a Host header: throws ServiceError 403. */
export function hostCheck({ host, allowed_hosts: allowed }: Settings): (header: string | undefined) => void {
  if (!isLoopback(host) && allowed.length === 0) return () => {};
  const names = new Set(isLoopback(host) ? [...LOOPBACK, host, ...allowed] : allowed);
  return (header = '') => {
    if (names.has(header) || names.has(header.replace(/:\d*$/, '').toLowerCase())) return;
    throw new ServiceError('forbidden', 'This service is not called by that Host.', {
      hint: 'Use http://localhost, or have the operator add the name to allowed_hosts.',
    });
  };
}

/** Browsers send an Origin: that of the service's own page, or one the operator has allowed. Throws ServiceError 403. */
export function checkOrigin({ allowed_origins: allowed }: Settings, origin: string | undefined, hostHeader: string | undefined): void {
  if (origin === undefined || allowed.includes(origin) || allowed.includes('*')) return;
  if (origin === `http://${hostHeader}` || origin === `https://${hostHeader}`) return;
  throw new ServiceError('forbidden', 'Web pages of that Origin may not use this service.', { hint: 'Have the operator add it to allowed_origins.' });
}
