/** Wrong values of what `lastchunk rules` and `lastchunk dashboards` have in common, with what the message says of them. */
export const MISTAKES: readonly (readonly [flag: string, value: string, said: string])[] = [
  ['--objective', '42', 'a percentage from 93.1 to below 100'],
  ['--objective', '100', 'a percentage from 93.1 to below 100'],
  ['--objective', 'high', 'a number, not "high"'],
  ['--timeliness', '12', 'a percentage from 93.1 to below 100'],
  ['--window', '3d', 'a whole number from 7 to 90, not 3'],
  ['--window', '91', 'a whole number from 7 to 90, not 91'],
  ['--window', 'month', 'a number, not "month"'],
  ['--label', 'instance', 'not name "instance": the rules use it already'],
  ['--label', '9x', 'names of Prometheus labels, not "9x"'],
  ['--min-failures', '0', 'a whole number from 1 to 1000, not 0'],
  ['--min-failures', '1.5', 'a whole number from 1 to 1000, not 1.5'],
  ['--runbooks', 'two words', 'an address, such as https://…, not "two words"'],
  ['--dashboards', 'grafana', 'an address, such as https://…, not "grafana"'],
  ['--speed', '1000', 'a whole number from 1 to 60, not 1000'],
  ['--source', 'otlp', 'one of prometheus, otel, not "otlp"'],
];

/** The same of what says how an object of Kubernetes is called. */
export const PLACE_MISTAKES: typeof MISTAKES = [
  ['--name', 'Chat', 'be a name of Kubernetes'],
  ['--name', 'chat-', 'be a name of Kubernetes'],
  ['--name', 'a'.repeat(64), 'be a name of Kubernetes'],
  ['--namespace', 'my.team', 'be a name of Kubernetes'],
  ['--namespace', 'a\nb', 'be a name of Kubernetes'],
  [
    '--labels',
    'release',
    'be labels of Kubernetes, as release=prometheus,team=chat, not "release"',
  ],
  ['--labels', 'a=b,', 'be labels of Kubernetes, as release=prometheus,team=chat, not ""'],
  ['--labels', 'a=b=c', 'be labels of Kubernetes'],
  ['--labels', 'a=b,a=c', 'name "a" once'],
  ['--labels', '=b', 'be labels of Kubernetes'],
  ['--labels', 'a/b/c=d', 'be labels of Kubernetes'],
  ['--labels', 'A.io/b=c', 'be labels of Kubernetes'],
  ['--labels', 'a=b c', 'be labels of Kubernetes'],
];
