/** What people of one interest talk about. */
export interface Topic {
  readonly name: string;
  readonly things: readonly string[];
  readonly deeds: readonly string[];
  readonly places: readonly string[];
  readonly traits: readonly string[];
}

/** Interests of the public half: an everyday message board. */
export const publicTopics: readonly Topic[] = [
  {
    name: 'garden',
    things: ['bean row', 'compost heap', 'rose bush', 'tomato plant', 'watering can', 'apple tree', 'hedge'],
    deeds: ['watered', 'planted', 'pruned', 'weeded', 'dug up', 'covered'],
    places: ['behind the shed', 'by the back wall', 'in the greenhouse', 'along the path'],
    traits: ['dry', 'green', 'overgrown', 'tidy', 'sunny', 'muddy'],
  },
  {
    name: 'kitchen',
    things: ['lentil soup', 'rye bread', 'plum jam', 'onion pie', 'frying pan', 'spice jar', 'oven tray'],
    deeds: ['cooked', 'tasted', 'burned', 'shared', 'stirred', 'baked'],
    places: ['on the stove', 'in the pantry', 'at the big table', 'near the window'],
    traits: ['salty', 'warm', 'crisp', 'sweet', 'plain', 'burnt'],
  },
  {
    name: 'street',
    things: [
      'bus stop',
      'parking place',
      'street lamp',
      'letter box',
      'paper bin',
      'old bridge',
      'corner shop',
    ],
    deeds: ['passed', 'noticed', 'reported', 'photographed', 'cleaned', 'painted'],
    places: ['on the high street', 'near the school', 'opposite the bank', 'round the corner'],
    traits: ['noisy', 'crowded', 'broken', 'quiet', 'new', 'narrow'],
  },
  {
    name: 'weather',
    things: ['rain cloud', 'cold wind', 'morning fog', 'thunder storm', 'first snow', 'evening light'],
    deeds: ['watched', 'expected', 'enjoyed', 'feared', 'missed', 'photographed'],
    places: ['over the hills', 'above the roofs', 'from the balcony', 'across the fields'],
    traits: ['grey', 'mild', 'sudden', 'heavy', 'gentle', 'bitter'],
  },
  {
    name: 'household',
    things: [
      'washing machine',
      'curtain rail',
      'door handle',
      'paint pot',
      'kitchen tap',
      'carpet',
      'heater',
    ],
    deeds: ['repaired', 'ordered', 'moved', 'cleaned', 'measured', 'replaced'],
    places: ['in the hall', 'under the stairs', 'upstairs', 'next to the sink'],
    traits: ['loose', 'rusty', 'spotless', 'cheap', 'heavy', 'useful'],
  },
  {
    name: 'pets',
    things: ['spotted dog', 'tabby cat', 'rabbit hutch', 'bird feeder', 'goldfish bowl', 'old pony'],
    deeds: ['fed', 'walked', 'brushed', 'found', 'called', 'trained'],
    places: ['in the park', 'under the sofa', 'at the vet', 'by the gate'],
    traits: ['playful', 'hungry', 'shy', 'sleepy', 'stubborn', 'clever'],
  },
];

/** Interests of the private half: the members' notes of a harbour club, with words that the public half lacks. */
export const privateTopics: readonly Topic[] = [
  {
    name: 'sailing',
    things: ['mainsail', 'spinnaker', 'anchor chain', 'tiller', 'jib sheet', 'mooring buoy', 'dinghy'],
    deeds: ['hoisted', 'reefed', 'trimmed', 'lashed', 'capsized', 'spliced'],
    places: ['off the breakwater', 'in the estuary', 'past the lighthouse', 'on the slipway'],
    traits: ['taut', 'leeward', 'seaworthy', 'squally', 'barnacled', 'shipshape'],
  },
  {
    name: 'astronomy',
    things: ['telescope', 'eyepiece', 'double star', 'nebula', 'meteor shower', 'finder scope', 'comet'],
    deeds: ['observed', 'sketched', 'tracked', 'collimated', 'logged', 'glimpsed'],
    places: ['near Orion', 'at the zenith', 'low in the west', 'at the observatory'],
    traits: ['faint', 'crystalline', 'dazzling', 'hazy', 'circumpolar', 'reddish'],
  },
  {
    name: 'pottery',
    things: ['glaze test', 'stoneware jug', 'kiln shelf', 'porcelain bowl', 'clay slab', 'slip bucket'],
    deeds: ['glazed', 'fired', 'kneaded', 'threw', 'chipped', 'wedged'],
    places: ['in the kiln', 'at the wheel', 'on the drying rack', 'in the studio'],
    traits: ['cobalt', 'brittle', 'glossy', 'speckled', 'leather-hard', 'lopsided'],
  },
  {
    name: 'chess',
    things: ['bishop pair', 'rook ending', 'queen sacrifice', 'pawn chain', 'opening trap', 'fork'],
    deeds: ['analysed', 'blundered', 'castled into', 'gambled on', 'defended', 'adjourned'],
    places: ['on the long diagonal', 'in the seventh round', 'at the club evening', 'on board four'],
    traits: ['cramped', 'drawish', 'razor-sharp', 'positional', 'unsound', 'forced'],
  },
  {
    name: 'radio',
    things: ['vacuum tube', 'short-wave set', 'copper coil', 'antenna mast', 'morse key', 'amplifier'],
    deeds: ['soldered', 'rewired', 'tuned', 'salvaged', 'grounded', 'calibrated'],
    places: ['on forty metres', 'in the workshop', 'up the mast', 'at the swap meet'],
    traits: ['crackling', 'microphonic', 'humming', 'resonant', 'overheated', 'vintage'],
  },
  {
    name: 'choir',
    things: ['alto line', 'madrigal', 'descant', 'rehearsal plan', 'canon', 'requiem', 'tuning fork'],
    deeds: ['rehearsed', 'transposed', 'hummed', 'conducted', 'memorised', 'sight-read'],
    places: ['in the chapel', 'behind the organ', 'in the second verse', 'at the spring concert'],
    traits: ['hushed', 'off-key', 'jubilant', 'solemn', 'four-part', 'breathless'],
  },
];

export const openers: readonly string[] = [
  'Today',
  'Last night',
  'On Sunday',
  'This morning',
  'After lunch',
  'Before dawn',
  'As usual',
  'Once more',
  'Early on',
  'In the end',
];

export const colourings: readonly string[] = [
  'honestly',
  'frankly',
  'as ever',
  'by all means',
  'to my surprise',
  'no doubt',
  'of course',
  'for once',
  'mind you',
  'truth be told',
];

export const companions: readonly string[] = [
  'my sister',
  'the neighbours',
  'an old friend',
  'our treasurer',
  'two beginners',
  'my uncle',
  'the youngsters',
  'nobody else',
];

export const signOffs: readonly string[] = [
  'Cheers',
  'Best wishes',
  'So long',
  'Take care',
  'Yours as always',
  'Until Friday',
  'Warmly',
  'Onwards',
];

export const givenNames: readonly string[] = [
  'Ada',
  'Bruno',
  'Clara',
  'Dario',
  'Edda',
  'Felix',
  'Greta',
  'Hugo',
  'Ines',
  'Jonas',
  'Karin',
  'Linus',
  'Mira',
  'Nils',
  'Olga',
  'Pavel',
  'Rosa',
  'Silas',
  'Tilda',
  'Ugo',
  'Vera',
  'Wim',
  'Yara',
  'Zeno',
];
