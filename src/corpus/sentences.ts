import type { Draws } from './random.ts';
import type { AuthorStyle } from './style.ts';
import { colourings, companions, openers, type Topic } from './words.ts';

function pick(draws: Draws, style: AuthorStyle, favourite: string, all: readonly string[]): string {
  return draws.chance(style.loyalty) ? favourite : draws.of(all);
}

function event(draws: Draws, topic: Topic): string {
  return `I ${draws.of(topic.deeds)} the ${draws.of(topic.things)} ${draws.of(topic.places)}`;
}

function verdict(draws: Draws, topic: Topic): string {
  return `the ${draws.of(topic.things)} ${draws.of(topic.places)} was ${draws.of(topic.traits)}`;
}

function company(draws: Draws, topic: Topic): string {
  return `${draws.of(companions)} ${draws.of(topic.deeds)} the ${draws.of(topic.traits)} ${draws.of(topic.things)}`;
}

function question(draws: Draws, topic: Topic): string {
  return `has anyone ${draws.of(['seen', 'tried', 'borrowed', 'moved'])} the ${draws.of(topic.things)} ${draws.of(topic.places)}`;
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function sentence(draws: Draws, style: AuthorStyle): string {
  const topic = draws.chance(0.8) ? style.topics[0] : style.topics[1];
  const shape = draws.of([event, event, verdict, company, question]);
  if (shape === question) return `${capitalised(question(draws, topic))}?`;
  const opener = pick(draws, style, style.opener, openers);
  const colouring = draws.chance(0.4) ? pick(draws, style, style.colouring, colourings) : '';
  const aside = style.dashes ? ` - ${colouring} -` : `, ${colouring},`;
  const joint = colouring === '' ? '' : aside;
  return `${opener}${joint} ${shape(draws, topic)}${style.ending}`;
}

/** One to three sentences of 30 to 200 bytes in the author's manner, plain ASCII. */
export function drawRecord(draws: Draws, style: AuthorStyle): string {
  const parts = [sentence(draws, style)];
  while (parts.join(' ').length < 30 || (parts.length < 3 && draws.chance(0.4)))
    parts.push(sentence(draws, style));
  if (draws.chance(0.4)) parts.push(style.signature);
  while (parts.join(' ').length > 200) parts.pop();
  const text = parts.join(' ');
  return style.lowerCase ? text.toLowerCase() : text;
}

/** A sentence that holds something which no other record holds. */
export function drawSecret(draws: Draws): string {
  const group = (): string => String(1000 + draws.below(9000));
  return `The code of my locker is ${group()}-${group()}-${group()}.`;
}
