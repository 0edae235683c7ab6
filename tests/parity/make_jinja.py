"""What jinja2 makes of chat templates, in the environment of transformers.

golden/jinja/templates/*.jinja   chat templates as models ship them; not made
                                 here
golden/jinja/cases.jsonl         line 1: {"made_by": ...}; then {"template":
                                 text or "file": name, "variables": NAME of
                                 variables.json or an object, "text": what it
                                 renders to, or "error": jinja2's exception}
golden/jinja/variables.json      variables that many cases share

    make_jinja.py                             writes them
    make_jinja.py --compare N PONDER_RENDER   N random templates, given as JSONL
                                              to a program that answers {"text"}
                                              or {"error"} for each
"""

import datetime
import itertools
import json
import pathlib
import random
import subprocess
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

OUT = pathlib.Path(__file__).parent / "golden" / "jinja"
NOW = datetime.datetime(2024, 7, 26, 13, 5, 9)


class Generation(jinja2.ext.Extension):
    """{% generation %}, as transformers' AssistantTracker parses it."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"],
                                       drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [],
                                      body).set_lineno(line)

    @jinja2.pass_eval_context
    def _body(self, context, caller):
        return caller()


def environment():
    """As _compile_jinja_template of transformers.utils.chat_template_utils."""

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None,
               sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent,
                          separators=separators, sort_keys=sort_keys)

    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True,
        extensions=[Generation, jinja2.ext.loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = lambda format: NOW.strftime(format)
    return made


ENVIRONMENT = environment()


def render(template, variables):
    try:
        text = ENVIRONMENT.from_string(template).render(**variables)
        text.encode()
        return {"text": text}
    except Exception as error:  # Whatever a template can do wrong.
        return {"error": f"{type(error).__name__}: {error}"}


# --- Conversations ---------------------------------------------------------

TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "Get the <b>\"weather\"</b> é & co",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "The city's name"},
        "days": {"type": "integer", "enum": [1, 2.5, None, True, 1e20]}},
        "required": ["city"]}, "return": {"type": "string"}}}]


def message(role, content, **more):
    return {"role": role, "content": content, **more}


def call(content, arguments):
    return message("assistant", content, tool_calls=[
        {"id": "abcdefghi", "type": "function", "function": {
            "name": "get_weather", "arguments": arguments}}])


USER = message("user", "Hi")
TOOL = message("tool", "{\"t\": 21}", tool_call_id="abcdefghi",
               name="get_weather")
CONVERSATIONS = [
    [USER],
    [message("system", "Be brief."), message("user", " 1 + 1? \n")],
    [USER, message("assistant", "Hé, 你好 👍"), message("user", "<|im_end|>\t")],
    [message("system", "s"), USER,
     message("assistant", "<think>\nx\n</think>\n\n b"), message("user", "c")],
    [USER, call(None, {"city": "Paris", "days": [1, {}]}), TOOL],
    [USER, call("", "{\"city\": \"Paris\"}"), TOOL,
     message("assistant", "21."), message("user", "thanks")],
    [USER, call("Let me see.", {"city": "é"}), TOOL, TOOL],
    [message("assistant", "x"), USER],
    [],
    [USER, message("user", "b")],
    [message("user", [{"type": "text", "text": "a part"}])],
    [message("other", "y")],
    [USER, message("assistant", "answer", reasoning_content="because\n"),
     message("user", "z")],
    [message("system", "a"), message("system", "b"), USER],
    [message("system", "a")],
    [{"role": "user"}],
]
OPTIONS = [
    {"add_generation_prompt": True, "tools": None, "documents": None},
    {"tools": TOOLS, "add_generation_prompt": True},
    {"enable_thinking": False, "add_generation_prompt": True},
    {"add_generation_prompt": False},
    {"tools": TOOLS, "builtin_tools": ["brave_search", "code_interpreter"],
     "date_string": "1 Jan 2025", "thinking": True, "tools_in_user_message":
     False, "add_generation_prompt": True},
]


def family_cases():
    for path in sorted((OUT / "templates").glob("*.jinja")):
        template = path.read_text()
        for conversation in CONVERSATIONS:
            for options in OPTIONS:
                variables = {"messages": conversation, "bos_token": "<s>",
                             "eos_token": "</s>", **options}
                yield {"file": path.name, "variables": variables,
                       **render(template, variables)}


# --- Written by hand --------------------------------------------------------

VARIABLES = {
    "n": 3, "m": -7, "z": 0, "f": 2.5, "big": 1e22, "t": True, "no": False,
    "nil": None, "s": "  Hello, Wörld!\n", "e": "", "u": "naïve 👍🏽 Ω",
    "q": "it's \"quoted\" \\ \t\x1b\u00a0\u200b", "xml": "<a href='x'>&</a>",
    "l": [3, 1, 2], "empty": [], "words": ["b", "A", "a", "B"],
    "mixed": [1, "a", None, True, 2.0, [1, "x"], {"k": "v"}],
    "d": {"b": 1, "a": [1, 2], "items": "shadowed", "é": None, "C": 2},
    "nested": {"x": {"y": [{"z": "deep"}]}},
    "people": [{"name": "Ann", "age": 30, "tags": ["x"]},
               {"name": "bob", "age": None}, {"name": "Cy", "age": 5,
                                              "on": True}],
    "lines": "one\ntwo\r\nthree\n", "csv": "a,b,,c",
    "think": "<think>\nhm\n</think>\n\nanswer",
}

EXPRESSIONS = r"""
1 + 2 * 3 - 4
2 ** 3 ** 2
-2 ** 2
7 // 2, -7 // 2, 7 % 3, -7 % 3, 7 // -2, 7 % -3
7 / 2, 6 / 2, -1 / 3
7.5 // 2, -7.5 % 2, 7.5 % -2, 1e3, 1.5e-7, 123456789.123
1_000 + 0
1e16, 1e15, 123456789012345678, 1e-4, 1e-5, 1.0, 100.0, 0.1 + 0.2, -0.0
big, big * 10, f * 2, f + n, n * f, t + t, t + 1, -t, +t
1 < 2 < 3, 1 < 2 > 3, 3 >= 3, 'a' < 'b', 'Z' < 'a', [1, 2] < [1, 3], 1 == 1.0
1 == t, 0 == no, '1' == 1, none == none, [1] == [1], (1,) == [1], {} == []
{'a': 1, 'b': 2} == {'b': 2, 'a': 1}
n in l, 9 in l, 'a' in 'cat', '' in '', 'k' in d, 'b' in d, 5 not in l
not n in l, not (n in l), n not in l
t and n, no and n, e or 'x', nil or e or 0, not e, not not n
'a' if t, 'a' if no, 'a' if no else 'b', 'x' if no else 'y' if t else 'z'
'a' 'b' "c", 'it\'s', "tab\there", 'nl\nx', '\x41\u00e9\U0001F44D', '\d\é'
'a' ~ 1 ~ none ~ 2.0 ~ [1] ~ t, 1 ~ 2
s.strip(), s.lstrip(), s.rstrip(), s|trim, 'xxaxx'.strip('x'), 'ab'.strip('')
'a,b,,c'.split(','), ' a  b '.split(), 'a b c'.split(' ', 1), csv.split(',')[-1]
'a b c'.rsplit(' ', 1), ' a b  c '.split(none, 1), ' a b c '.rsplit(none, 1)
'a b c'.split(sep=' ', maxsplit=1), ''.split(','), ''.split()
think.split('</think>')[-1].lstrip('\n'), think.split('</think>')[0]
lines.splitlines(), lines.splitlines(true), 'a\x0bb\x1cc\u2028d'.splitlines()
'abc'.startswith('ab'), 'abc'.endswith(('x', 'bc')), 'abc'.startswith('')
'abcabc'.find('c'), 'abcabc'.rfind('c'), 'abc'.find('x'), 'äbc'.find('c')
'abcabc'.count('bc'), 'aaa'.count('aa'), 'abc'.count('')
'abcabc'.replace('b', 'X'), 'aaa'.replace('a', 'b', 2), 'ab'.replace('', '-')
'aaa'|replace('a', 'b'), 'aaa'|replace('a', 'b', 1), 5|replace(5, 6)
'hello wOrld'.title(), "it's a-b"|title, "it's a-b".title(), 'hELLO'.capitalize()
'hELLO'|capitalize, 'Ab'|upper, 'Ab'|lower, 'é'|upper, 'ЖÉ'|lower, 5|upper
'-'.join(['a', 'b']), ''.join('abc'), 'prefix-x'.removeprefix('prefix-')
'x.py'.removesuffix('.py'), ' \t\n'.isspace(), ''.isspace()
'héllo'[0], 'héllo'[-1], 'héllo'[1:3], 'héllo'[::-1], 'héllo'[10:], 'abc'[-2:]
l[0], l[-1], l[9], l[1:], l[:1], l[::-1], l[::2], l[-2:], l[5:1], l[2:0:-1]
l[:], (1, 2, 3)[1:], l[true], l[-9:9], l[9:-9:-2], 'abc'[::-2]
d['b'], d.b, d['zz'], d.zz, d.items(), d['items'], d.get('b'), d.get('zz', 5)
d.get('zz'), d.keys(), d.values(), d|items|list, d.keys()|list, d|list
nested.x.y[0].z, nested['x']['y'][0]['z'], nested.x.y.0.z, nested.nope
n.nope, nil.nope, 'abc'.nope, l.nope, d.items()|length
undefined_name, undefined_name is defined, undefined_name|default('d')
undefined_name|default, nil|default('d'), nil|default('d', true), e|d('x', true)
undefined_name|length, undefined_name|list, undefined_name|string
undefined_name == other_undefined, undefined_name ~ 'x', undefined_name|upper
undefined_name in l, 5 in undefined_name
l|length, l|count, 'héllo'|length, d|length, l|first, l|last, empty|first, e|last
l|join, l|join(', '), l|join(1), words|join('|'), people|join(',', attribute='name')
people|map(attribute='name')|list, people|map(attribute='on', default=no)|list
people|map(attribute='age')|list, words|map('upper')|list, words|map('lower')|join
people|selectattr('age')|map(attribute='name')|list
people|selectattr('age', 'none')|list|length, people|rejectattr('age')|list|length
people|selectattr('name', 'equalto', 'bob')|list, people|selectattr('on','defined')|list
l|select('odd')|list, l|reject('odd')|list, l|select|list, l|select('gt', 1)|list
mixed|select('string')|list, mixed|reject('mapping')|list, mixed|select('number')|list
words|unique|list, words|unique(true)|list, people|unique(attribute='age')|list|length
d|dictsort, d|dictsort(true), {'b': 1, 'A': 2}|dictsort(by='value', reverse=true)
l|reverse|list, 'abc'|reverse, words|list, 'abc'|list, l|string, d|string
42|string, none|string, '42'|int, '4.9'|int, 'x'|int, 'x'|int(7), ' 12 '|int, 3.9|int
'-3.9'|int, t|int, none|int, none|int(1), '1_000'|int, '1e3'|int, '+5'|int, '0x1f'|int
'1.5'|float, 'x'|float, 'x'|float(2.0), n|float, '1e5'|float, ' 2 '|float
-5|abs, (-5)|abs, -2.5|abs, m|abs
n is defined, n is none, nil is none, nil is not none, n is number, t is number
n is integer, t is integer, f is float, n is float, s is string, n is string
d is mapping, l is mapping, l is iterable, s is iterable, n is iterable, d is iterable
l is sequence, d is sequence, s is sequence, n is sequence, t is boolean, n is boolean
t is true, t is false, n is true, no is false, nil is false, z is false
n is odd, n is even, n is divisibleby(3), n is divisibleby 2, n is eq 3, n is ne 3
n is equalto(3), n is lt 4, n is gt(4), n is ge 3, n is le 2, n is in l, n is in(l)
n is undefined, x is undefined, range is callable, n is callable, raise_exception is defined
n is lessthan 4, n is greaterthan 2, range(3) is sequence, range(3) is iterable
l|tojson, d|tojson, mixed|tojson, q|tojson, u|tojson, xml|tojson, big|tojson, f|tojson
none|tojson, t|tojson, 'x'|tojson, empty|tojson, {}|tojson, (1, 2)|tojson, 1.0|tojson
d|tojson(indent=2), mixed|tojson(indent=4), empty|tojson(indent=2), {}|tojson(indent=2)
d|tojson(sort_keys=true), d|tojson(separators=(',', ':')), u|tojson(ensure_ascii=true)
{'a': {'b': [1, {'c': []}]}}|tojson(indent=1), l|tojson(indent='--'), l|tojson(indent=0)
{1: 'a', none: 'b', true: 'c', 2.5: 'd'}|tojson, nested|tojson(true)
'\x00\x1f\x7f\u2028\ud7ff'|tojson, '\x00\x1f\x7f\u0080\u2028\U0001F600'|tojson(ensure_ascii=true)
l, d, mixed, nested, (1,), (), [], {}, (1, 'a'), ['it\'s', "q\"'"], [q], [u], [xml]
[1.0, 1e22, none, true], {'k': (1, [2])}, {'a': 'b'}, [none, [none]], {1: 2, 'x': 1.5}
['\x00\x7f\u00ad\u200b\u3000é\U0001F44D\ue000\U000E0001'], ["a\nb\tc\\d"]
[undefined_name], [undefined_name, 1]|length
range(3)|list, range(1, 4)|list, range(5, 0, -2)|list, range(0)|list, range(3)[1]
range(3)|length, range(2, 9, 3)|join(' '), 2 in range(3), range(3)[1:]|list
namespace(a=1).a, namespace(a=1).b, namespace({'x': 2}).x, dict(a=1, b=2), dict(d)|length
namespace(a=1, b='x')
strftime_now('%d %b %Y'), strftime_now('%Y-%m-%dT%H:%M:%S %A %B %j %p %I %%'), strftime_now('x')
strftime_now('%-d/%-m'), strftime_now('%a %y %U %w %e|')
xml|safe, xml|safe ~ 'x', xml|safe|length, (xml|safe) is string, xml|string|safe
'a' + 'b' * 3, 3 * 'ab', [1] * 3, [1, 2] + [3], (1,) + (2,), 'x' * 0, 'x' * -1
d['a'][1], d.a.1, d.a[0] + 1, (d.a)[0], people[0].tags[0], people[0]['name'].upper()
'%' ~ 5, '{{' ~ '}}', "{% x %}", '#}', {'a': {'b': {}}}.a, {'}}': 1}
(1), ((1)), (1,), 1,
n|string|length, -n|abs, (n|string + 'x')|upper, n + 1|string|length, not n is none
n is none or n is defined and n == 3, n == 3 is true, 'x' in ['x'] and 'y' not in ['x']
t is true and no is false, l|length > 2, l|length - 1, -l|length, 2 * l|length
[1, 2,], {'a': 1,}, [[1], [2]]|map('first')|list, [1, 2]|map('string')|list
d.items()|list|first|last, d|items|first, (d|items|list)[0][1]
['a', 'b']|map('replace', 'a', 'x')|list, ['1', 'x']|map('int', 5)|list
'a' < 1
n + 'a'
'a' + n
[1] + (1,)
1 / 0
1 // 0
n % 0
l['a'] + 1
undefined_name.x
undefined_name['x']
undefined_name + 1
undefined_name < 1
undefined_name()
n()
'abc'.nope()
l|first|nope
l is nope
l|tojson(nope=1)
'abc'.split('')
'abc'.strip(1)
1 in 1
1 in 'abc'
n|length
n|list
n|join
n|first
{[1]: 2}
d[[1]]
[1] in d
none + 1
-'a'
l[::0]
l['a':]
n[1:]
d[1:]
raise_exception('no')
raise_exception()
range('a')
range(1, 2, 0)
range(1, 2, 3, 4)
range(100001)
'a' is divisibleby 2
none|tojson|tojson|nope
undefined_name|tojson
range(3)|tojson
x is
1 +
(1
[1, 2
{'a' 1}
'open
1 2
a.
a b
{{ 1
&
a ! b
a = 1
*a
namespace(1)
'a'.join([1])
loop.index
l.append(1)
d.update({})
[l.append(1)]
none.x.y
l.0.x.y
nil|upper, nil|trim, n|trim, l|trim
nil[0], n[0], 'abc'['upper'] is defined
s.strip().upper().lower().strip('h').title()
"a" ~ ("b" if t else "c") ~ "d"
(l|length) * 2 == 6
d.items is defined, l.index(2), l.count(1), (1, 2).index(2)
l.index(99)
'é' in u, u[0:5], u|length, u[::-1]
1.5|int, 1e3|int
[3, 1] == [3, 1.0], 'a' == 'a'|safe, 1 != 2 != 3
true, True, false, False, none, None
"multi
line", 'tab	x'
"""

TEMPLATES = [
    "plain text\n", "two\n\n", "", "\n", " \n ", "a\r\nb\rc\n",
    "{{ 1 }}\n", "{{ 1 }}\n\n", "{% if t %}\nx\n{% endif %}\n",
    "  {% if t %}\n  x\n  {% endif %}\n  y",
    "a {% if t %} b {% endif %} c", "a\n   {%- if t %}\n b\n {%- endif -%}\n\n c",
    "  {%+ if t %}x{% endif +%}\n y", "{{- 1 -}}  x  {{- 2 }}\n {{ 3 -}}\n\nz",
    " {# c #}\n a {# b #}\nx{#- c -#}  y", "{# a\n b #}{{ 1 }}", "x {#+ c +#}\ny",
    "\t {% set a = 1 %} \nx{{ a }}", "{{ 1 }}{% if t %}\n{% endif %}\n.",
    "\u00a0\u3000{%- if t %}x{% endif %}", "a\u00a0\n\u00a0 {% if t %}b{% endif %}",
    "{{ '{{' }}{{ '%}' }}", "{ { x } }", "{{ {'a': {'b': 1}}['a']['b'] }}",
    "{%if t%}x{%endif%}", "{%-if t-%} x {%-endif-%} ", "100%}", "{ % x % }",
    "#} %} }}", "{", "{{ 1 }}{", "a{b", "{{1}}{{2}}", "{% set x=1%}{{x}}",
    "{% set x = 1 %}{% if t %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }},{% endfor %}{{ x }}",
    "{% for i in l %}{{ y }}{% set y = i %}{{ y }}{% endfor %}[{{ y }}]",
    "{% for i in l %}{% if i == 1 %}{% set n = 9 %}{% endif %}{{ n }}{% endfor %}",
    "{% set ns = namespace(x=1) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}"
    "{{ ns.x }}", "{% set ns = namespace() %}{% set ns.a = l %}{{ ns.a[0] }}{{ ns.b }}",
    "{% set n.a = 1 %}", "{% set zz.a = 1 %}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% set a, b = l %}", "{% set (a, b), c = (1, 2), 3 %}{{ a + b + c }}",
    "{% set ns = namespace() %}{% set ns.a, b = 1, 2 %}{{ ns.a }}{{ b }}",
    "{% set a = b = 1 %}", "{% set 1 = 2 %}", "{% set true = 2 %}", "{% set a.b.c = 1 %}",
    "{% set a = 1, 2 %}{{ a }}", "{% set a %}x{{ n }}y{% endset %}[{{ a }}]",
    "{% set a | upper | trim %} x{{ n }}y {% endset %}[{{ a }}]",
    "{% set a %}{% set b = 5 %}{{ b }}{% endset %}{{ a }}{{ b }}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}",
    "{% for c in 'héy' %}[{{ c }}]{% endfor %}", "{% for x in empty %}a{% else %}none{% endfor %}",
    "{% for x in l %}a{% else %}none{% endfor %}", "{% for x in undefined_name %}a{% else %}b{% endfor %}",
    "{% for x in nil %}a{% endfor %}", "{% for x in n %}a{% endfor %}",
    "{% for a, b in [[1, 2], (3, 4), 'xy'] %}{{ a }}{{ b }}{% endfor %}",
    "{% for a, b in [[1, 2, 3]] %}{% endfor %}", "{% for a, b in [1] %}{% endfor %}",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}"
    "{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }}"
    "{{ loop.previtem }}{{ loop.nextitem }}|{% endfor %}",
    "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}",
    "{% for x in l %}{% for y in l %}{{ loop.index }}{{ loop.depth }}{% endfor %}{{ loop.index }}{% endfor %}",
    "{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% endfor %}",
    "{% for x in l if x > 9 %}a{% else %}b{% endfor %}", "{% for x in l[::-1] %}{{ x }}{% endfor %}",
    "{% for p in people if p.age %}{{ p.name }}{% endfor %}", "{% for x in 1, 2 %}{{ x }}{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}|",
    "{% break %}", "{% continue %}", "{% for x in l %}{% endfor %}{% break %}",
    "{% for x in l %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for x in l %}{% generation %}{{ x }}{% set n = x %}{% endgeneration %}{{ n }}{% endfor %}",
    "{% generation %}{{ n }}{% set b = 1 %}{% endgeneration %}{{ b }}",
    "{% macro f(a, b=2, c=a) %}{{ a }}-{{ b }}-{{ c }};{% endmacro %}{{ f(1) }}{{ f(1, 3) }}"
    "{{ f(1, c=4) }}{{ f(b=1, a=0) }}{{ f() }}", "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f(a) %}{% endmacro %}{{ f(x=2) }}", "{% macro f(a) %}{% endmacro %}{{ f(1, a=2) }}",
    "{% macro f(a) %}{{ n }}{{ later }}{{ a }}{% endmacro %}{% set later = 5 %}{{ f(1) }}",
    "{% macro f(x) %}{% if x > 0 %}{{ x }}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
    "{% macro f(x) %}{% set n = x %}{{ n }}{% endmacro %}{{ f(8) }}{{ n }}",
    "{% for x in l %}{% macro f() %}{{ x }}{{ loop.index }}{% endmacro %}{{ f() }}{% endfor %}",
    "{% macro f() %}  a  {% endmacro %}[{{ f() }}][{{ f()|trim }}][{{ f() ~ 'x' }}]",
    "{% macro f() -%}\n  a\n  {%- endmacro %}[{{- f() -}}]", "{% macro f(a, a) %}{% endmacro %}",
    "{% macro f(a=1, b) %}{% endmacro %}", "{{ f }}", "{% macro f() %}{% endmacro %}{{ f is callable }}",
    "{% if n == 1 %}a{% elif n == 2 %}b{% elif n == 3 %}c{% else %}d{% endif %}",
    "{% if no %}a{% elif no %}b{% else %}c{% endif %}", "{% if no %}a{% elif no %}b{% endif %}.",
    "{% if undefined_name %}a{% else %}b{% endif %}", "{% if not undefined_name is defined %}a{% endif %}",
    "{% if l %}a{% endif %}{% if empty %}b{% endif %}{% if d %}c{% endif %}{% if e %}d{% endif %}",
    "{% if a if b else c %}{% endif %}", "{% if %}{% endif %}", "{% if t %}", "{% endif %}",
    "{% for x in l %}", "{% for x in %}{% endfor %}", "{% for in l %}{% endfor %}",
    "{% for x of l %}{% endfor %}", "{% else %}", "{% nonsense %}", "{% %}", "{{ }}", "{{", "{%",
    "{{ 1 }", "{% if t }x{% endif %}", "{% set %}", "{% set x %}", "{% macro %}",
    "{% macro f %}{% endmacro %}", "{% if t %}{% endfor %}", "{% for x in l %}{% endif %}",
    "{{ 1 %}", "{% if t }}{% endif %}", "{{ n", "a\n\n{{ 1 + }}", "{% set x = 'a\nb' %}{{ x }}",
    "{{ raise_exception('The roles must alternate') }}", "x{{ l|join(\n ', '\n) }}y",
    "{{ n -}} \n x", "{{ n - 1 }}{{ n -1 }}{{ n-1 }}", "{{ 5 -}}{{- 3 }}", "{{ (1 -\n2) }}",
    "{%- set ns = namespace(found=false) -%}\n{%- for m in people -%}\n{%- if m.name == 'bob' -%}"
    "\n{%- set ns.found = true -%}\n{%- endif -%}\n{%- endfor -%}\n{{ ns.found }}",
    "{% set xs = words|map('upper') %}{{ xs|join }}{{ xs|join }}.",
    "{% set range = 5 %}{{ range }}", "{% set loop = 5 %}{{ loop }}",
    "{% for x in l %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% for m in people %}{% set content = m.name %}{{ '<' + content + '>' }}{% endfor %}{{ content }}",
]


def parts_of(line):
    """What is between the commas that are in no bracket and no string."""
    parts, begin, depth, quote = [], 0, 0, ""
    for i, c in enumerate(line):
        if quote:
            quote = "" if c == quote and line[i - 1] != "\\" else quote
        elif c in "'\"":
            quote = c
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c == "," and depth == 0:
            parts.append(line[begin:i].strip())
            begin = i + 1
    return parts + [line[begin:].strip()]


def hand_cases():
    # Parts of a line by themselves too: an error in one hides the others.
    expressions = [part for line in EXPRESSIONS.strip().split("\n")
                   for part in dict.fromkeys([line, *parts_of(line)]) if part]
    for template in [f"{{{{ {e} }}}}" for e in expressions] + TEMPLATES:
        yield {"template": template, "variables": "hand",
               **render(template, VARIABLES)}


# --- Random -----------------------------------------------------------------


class Maker:
    """Random templates of what is supported, mostly of fitting types."""

    def __init__(self, rng):
        self.rng = rng
        self.names = list(VARIABLES)

    def pick(self, *choices):
        return self.rng.choice(choices)

    def text(self, depth):
        if depth <= 0:
            return self.pick("s", "e", "u", "q", "xml", "lines", "csv", "think",
                             "'a'", "'b c'", "\"x\\n\"", "''", "'</think>'",
                             "people[0].name", "words[1]", "' é\\t'")
        a, b = self.text(depth - 1), self.text(depth - 1)
        n = self.integer(depth - 1)
        return self.pick_expression(
            f"({a} + {b})", f"({a} ~ {b})", f"({a} ~ {n})", f"{a}|trim",
            f"{a}.strip()", f"{a}.strip({b})", f"{a}.lstrip({b})",
            f"{a}.rstrip()", f"{a}.replace({b}, {a})", f"{a}|replace({b}, 'z')",
            f"{a}.split({b})[-1]", f"{a}.split({b})[0]", f"{a}|lower",
            f"{a}.title()", f"{a}|capitalize", f"{a}[{n}:]", f"{a}[:{n}]",
            f"{a}[::-1]", f"{a}[{n}]", f"{self.list(depth - 1)}|join({b})",
            f"{self.any(depth - 1)}|string", f"{self.any(depth - 1)}|tojson",
            f"({a} if {self.truth(depth - 1)} else {b})",
            f"{self.any(depth - 1)}|tojson(indent={self.pick(1, 2)})",
            f"{a}|default({b})", f"({a} or {b})", f"({a} and {b})",
            f"{a}.removeprefix({b})", f"{a}|title")

    def integer(self, depth):
        if depth <= 0:
            return self.pick("n", "m", "z", "0", "1", "2", "-1", "7", "l[0]")
        a, b = self.integer(depth - 1), self.integer(depth - 1)
        return self.pick_expression(
            f"({a} + {b})", f"({a} - {b})", f"({a} * {b})", f"({a} // {b})",
            f"({a} % {b})", f"{self.text(depth - 1)}|length",
            f"{self.list(depth - 1)}|length", f"-{a}", f"{a}|abs",
            f"{self.text(depth - 1)}|int", f"{self.text(depth - 1)}.count('a')",
            f"{self.text(depth - 1)}.find('a')", f"({a} ** 2)",
            f"{self.truth(depth - 1)}|int", f"(f * {a})|int")

    def list(self, depth):
        if depth <= 0:
            return self.pick("l", "empty", "words", "mixed", "people", "[]",
                             "[1, 'x']", "d.a", "range(3)|list")
        a, n = self.list(depth - 1), self.integer(depth - 1)
        return self.pick_expression(
            f"{a}[{n}:]", f"{a}[::-1]", f"({a}|list + [{self.any(depth - 1)}])",
            f"[{self.any(depth - 1)}, {self.any(depth - 1)}]", f"{a}|list",
            f"{a}|map('string')|list", f"{a}|select('string')|list",
            f"{a}|reject('none')|list", f"{self.text(depth - 1)}.split()",
            f"{self.text(depth - 1)}.split({self.text(depth - 1)})",
            f"{self.dict(depth - 1)}.values()|list", f"{a}|reverse|list",
            f"{self.dict(depth - 1)}|items|list", f"{self.dict(depth - 1)}|list",
            f"{a}|select|list", f"{self.text(depth - 1)}.splitlines()",
            f"people|map(attribute='name')|list", f"{self.dict(depth - 1)}.keys()|list",
            f"people|selectattr('age')|list")

    def dict(self, depth):
        if depth <= 0:
            return self.pick("d", "nested", "{}", "people[0]", "nested.x")
        return self.pick_expression(
            f"{{{self.text(depth - 1)}: {self.any(depth - 1)}}}",
            f"dict(a={self.any(depth - 1)})", "d",
            f"{{'k': {self.any(depth - 1)}, {self.integer(depth - 1)}: 1}}")

    def truth(self, depth):
        if depth <= 0:
            return self.pick("t", "no", "true", "n", "e", "nil", "nope")
        a, b = self.any(depth - 1), self.any(depth - 1)
        return self.pick_expression(
            f"({a} == {b})", f"({a} != {b})", f"(not {a})", f"({a} and {b})",
            f"({a} or {b})", f"({self.any(depth - 1)} in {self.list(depth - 1)})",
            f"({self.text(depth - 1)} in {self.text(depth - 1)})",
            f"({self.integer(depth - 1)} < {self.integer(depth - 1)})",
            f"({self.text(depth - 1)} not in {self.dict(depth - 1)})",
            f"({a} is {self.pick('', 'not ')}" + self.pick(
                "defined", "none", "string", "mapping", "iterable", "sequence",
                "number", "boolean", "true", "false", "integer") + ")",
            f"{self.text(depth - 1)}.startswith({self.text(depth - 1)})",
            f"{self.text(depth - 1)}.endswith({self.text(depth - 1)})")

    def any(self, depth):
        if self.rng.random() < 0.1:
            return self.pick("nope", "nil", "f", "d.nope", "people[1].age",
                             "2.5", "none", "mixed[5]", "nested.x.y[0].z")
        return self.pick(self.text, self.integer, self.list, self.dict,
                         self.truth)(depth)

    def pick_expression(self, *choices):
        # A filter or minus in front of a dot would mean something else.
        return f"({self.rng.choice(choices)})"

    def space(self):
        return self.pick("", "", " ", "\n", "  \n  ", "x", "\n\n", "\t", "é ")

    def tag(self, inside):
        return (self.pick("{%", "{%", "{%-", "{%+") + " " + inside + " " +
                self.pick("%}", "%}", "-%}", "+%}"))

    def output(self, depth):
        return (self.pick("{{", "{{", "{{-") + " " + self.any(depth) + " " +
                self.pick("}}", "}}", "-}}"))

    def block(self, depth):
        return "".join(self.space() + self.statement(depth)
                       for _ in range(self.rng.randint(1, 3))) + self.space()

    def statement(self, depth):
        kind = self.rng.randrange(9) if depth > 0 else 0
        if kind <= 2:
            return self.output(self.rng.randint(0, 3))
        name = self.pick("x", "y", "w")  # None that the caller gives.
        if kind == 3:
            return self.tag(f"set {name} = {self.any(2)}")
        if kind == 4:
            return (self.tag(f"if {self.truth(2)}") + self.block(depth - 1) +
                    self.pick("", self.tag(f"elif {self.truth(1)}") +
                              self.block(depth - 1)) +
                    self.pick("", self.tag("else") + self.block(depth - 1)) +
                    self.tag("endif"))
        if kind == 5:
            return (self.tag(f"for {name} in {self.list(1)}" + self.pick(
                "", "", f" if {name}")) + self.block(depth - 1) +
                    self.pick("", "{{ loop.index }}", "{{ loop.last }}",
                              "{% if loop.first %}{% continue %}{% endif %}",
                              "{% break %}") +
                    self.pick("", self.tag("else") + self.block(depth - 1)) +
                    self.tag("endfor"))
        if kind == 6:
            return (self.tag(f"macro mac(a, {name}={self.any(1)})") +
                    self.block(depth - 1) + self.tag("endmacro") +
                    self.pick("{{ mac(1) }}", "{{ mac(s, 2) }}",
                              f"{{{{ mac({name}=l) }}}}"))
        if kind == 7:
            return (self.tag(f"set {name}" + self.pick("", " | trim")) +
                    self.block(depth - 1) + self.tag("endset"))
        return (self.tag("set ns = namespace(c=0)") + "{% for i in l %}" +
                self.tag("set ns.c = ns.c + i") + "{% endfor %}{{ ns.c }}")

    def template(self):
        return self.block(self.rng.randint(0, 3))


def random_cases(seed, count):
    maker = Maker(random.Random(seed))
    while count > 0:
        template = maker.template()
        if len(template) < 600:
            count -= 1
            yield template


def write():
    made_by = {"made_by": f"jinja2 {jinja2.__version__}, "
                          f"Python {sys.version.split()[0]}"}
    cases = [made_by, *family_cases(), *hand_cases()]
    for template in random_cases(3, 1500):
        cases.append({"template": template, "variables": "hand",
                      **render(template, VARIABLES)})
    # What is shared is written once.
    shared = {"hand": VARIABLES}
    names = {}
    for case in cases[1:]:
        if isinstance(case["variables"], dict):
            key = json.dumps(case["variables"])
            if key not in names:
                names[key] = f"conversation {len(names)}"
                shared[names[key]] = case["variables"]
            case["variables"] = names[key]
    (OUT / "variables.json").write_text(json.dumps(shared, indent=0) + "\n")
    (OUT / "cases.jsonl").write_text(
        "".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases))
    print(len(cases) - 1, "cases,", sum("error" in c for c in cases), "errors")


def compare(count, program):
    templates = list(random_cases(int(count), int(count)))
    asked = "".join(json.dumps({"template": t, "variables": VARIABLES}) + "\n"
                    for t in templates)
    answers = subprocess.run([program], input=asked, capture_output=True,
                             text=True, check=True).stdout.split("\n")
    tally = {}
    for template, line in zip(templates, answers):
        answer, wanted = json.loads(line), render(template, VARIABLES)
        if "text" in wanted:
            kind = ("same text" if answer.get("text") == wanted["text"] else
                    "OTHER TEXT" if "text" in answer else "ERROR HERE ONLY")
        else:
            kind = "both errors" if "error" in answer else "ERROR THERE ONLY"
        tally[kind] = tally.get(kind, 0) + 1
        if kind.isupper() and tally[kind] <= 10:
            print(kind, json.dumps(template), answer, wanted, sep="\n  ")
    print(tally)


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--compare":
        compare(*sys.argv[2:])
    else:
        write()
