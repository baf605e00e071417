import type { Command } from 'commander';
import { createCommand, type Deliver } from '../command.ts';

/** `privacy-unit audit scores`. */
export function auditScoresCommand(_deliver: Deliver): Command {
  return createCommand('scores', {
    summary: '',
    description: '',
    examples: ['audit scores FILE', 'audit scores FILE --json'],
  });
}
