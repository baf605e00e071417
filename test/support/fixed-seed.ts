import * as fc from 'fast-check';

/** The same random cases in every automatic run, so that it tells of the change and not of chance; others each time by hand. */
if (process.env['CI'] !== undefined) fc.configureGlobal({ seed: 20_261_125 });
