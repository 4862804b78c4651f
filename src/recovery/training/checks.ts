import { expected } from '../../errors';

export function checkAtLeast(value: number, minimum: number, subject: string): void {
  if (!(Number.isFinite(value) && value >= minimum)) {
    throw expected('ERR_OPTION', `a number of at least ${minimum}`, subject, value);
  }
}

export function checkPositive(value: number, subject: string): void {
  if (!(Number.isFinite(value) && value > 0)) throw expected('ERR_OPTION', 'a positive number', subject, value);
}

export function checkFraction(value: number, subject: string): void {
  if (!(value >= 0 && value <= 1)) throw expected('ERR_OPTION', 'a number from 0 to 1', subject, value);
}

export function checkInteger(value: number, minimum: number, subject: string): void {
  if (!(Number.isSafeInteger(value) && value >= minimum)) {
    throw expected('ERR_OPTION', `an integer of at least ${minimum}`, subject, value);
  }
}
