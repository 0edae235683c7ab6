"""Runs one program for the sandbox library, from inside the sandbox.

A Python cell's agent is a Python that has read this file and imported what
programs often use. Each run is a fork of it, with namespaces and file systems
of its own and without any rights; see zygote.cc. Where that is not possible, a
Python is started for each run.

Everything here shares the sandbox with the program and is at its mercy. It is
given inputs one at a time and sends back values and exit statuses; expected
values, test code of the program's checker and verdicts never come here, so
there is nothing to steal and nothing to forge.

A message is 4 bytes of length, little-endian, one byte of kind and a body.
Requests: S set up (mode, source), I run with standard input, C call (name,
args, kwargs), M serve calls until Q, T run test code (function, code); each of
these four in a fork, but c and m in the process that has loaded the program,
which then ends. Answers: H hello, L loaded, E error (type, text), V value, U
value that cannot be sent (type), P test passed, X process ended (three times 8
bytes: wait status, CPU microseconds, largest resident KiB).

Test code shares the channel with the runner, and values of a program come over
it. The source of mode "test" is a token that no program knows and that each T
stands behind: what a test has left unread is never a request.
"""

import _imp
import _signal
import builtins
import gc
import marshal
import posix
import sys
from _thread import _count as thread_count
from builtins import *  # As they are now: programs may replace them.

dumps, loads = marshal.dumps, marshal.loads
fork_hooks = []  # Of preloaded modules; see preload().
posix_read, posix_write = posix.read, posix.write
CHANNEL = 3
MANY, MANY_HERE = ord("M"), ord("m")
# What programs often import and what adds little to a fork: hashlib alone, with
# OpenSSL behind it, would cost each one half as much again.
PRELOADED = """
abc bisect collections collections.abc copy datetime functools heapq io
itertools json math operator os random re string time typing
""".split()


def read_exactly(size):
    parts = []
    while size > 0:
        part = posix_read(CHANNEL, min(size, 1 << 20))
        if not part:
            posix._exit(0)  # The supervisor is gone or has seen enough.
        if len(part) == size and not parts:
            return part
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def receive():
    header = read_exactly(5)
    return header[4:], read_exactly(int.from_bytes(header[:4], "little"))


def send(kind, body=b""):
    message = len(body).to_bytes(4, "little") + kind + body
    done = posix_write(CHANNEL, message)
    while done < len(message):
        done += posix_write(CHANNEL, memoryview(message)[done:])


def send_error(error):
    send(b"E", dumps((type(error).__name__, describe(error)), 2))


def describe(error):
    try:
        return str(error)[:500].encode("utf-8", "replace").decode()
    except BaseException:
        return ""


def print_error(error):
    # The frame of this file is of no interest to the reader.
    trace = error.__traceback__ and error.__traceback__.tb_next
    sys.excepthook(type(error), error.with_traceback(trace), trace)


def exit_with(status):
    """Ends a child as the interpreter would: threads, atexit, flush."""
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
        if "atexit" in sys.modules:
            sys.modules["atexit"]._run_exitfuncs()
    except BaseException as error:
        print_error(error)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            status = status or 120
    posix._exit(status)


def path_of_source():
    return posix.getcwd() + "/solution.py"


def new_module(name):
    module = type(sys)(name)
    module.__dict__.update(__builtins__=builtins, __file__=path_of_source())
    sys.modules[name] = module
    return module


def compile_program(source):
    return compile(source, path_of_source(), "exec", dont_inherit=True)


def exit_status(code):
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 255
    print(code, file=sys.stderr)
    return 1


def run_main(code):
    """Runs the program as `python3 solution.py` would."""
    status = 1
    try:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        sys.stdin = sys.__stdin__ = open(
            0, encoding="utf-8", errors="surrogateescape", closefd=False)
        exec(code, new_module("__main__").__dict__)
        status = 0
    except SystemExit as error:
        status = exit_status(error.code)
    except BaseException as error:
        print_error(error)
    exit_with(status)


def serve_inputs(source):
    code = compile_program(source)
    send(b"L")
    next_request()
    run_main(code)


def find_function(program, name):
    if name in program:
        return program[name]
    if "Solution" in program:  # LeetCode's form.
        return getattr(program["Solution"](), name)
    raise NameError("the program defines no function " + repr(name))


def plain(value, depth):
    """A value of the standard library's containers as what it is made of."""
    kind = type(value)
    if depth > 64:
        raise ValueError
    if kind is list or kind is tuple:
        return kind([plain(item, depth + 1) for item in value])
    if kind is dict or kind in dict_kinds():
        return {plain(key, depth + 1): plain(item, depth + 1)
                for key, item in dict.items(value)}
    if kind.__bases__ == (tuple,) and "_fields" in kind.__dict__:
        return tuple([plain(item, depth + 1)
                      for item in tuple.__iter__(value)])
    return value


def dict_kinds():
    collections = sys.modules["collections"]
    return (collections.Counter, collections.defaultdict,
            collections.OrderedDict)


def answer_call(program, body):
    """False if the function raised."""
    name, args, kwargs = loads(body)
    try:
        value = find_function(program, name)(*args, **kwargs)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException as error:
        print_error(error)
        send_error(error)
        return False
    try:
        try:
            answer = dumps(value, 2)
        except ValueError:
            answer = dumps(plain(value, 0), 2)
    except (ValueError, RecursionError):
        send(b"U", type(value).__name__.encode("utf-8", "replace"))
    else:
        send(b"V", answer)
    return True


def answer_calls(program):
    while True:
        kind, body = receive()
        if kind != b"C":
            posix._exit(0)
        answer_call(program, body)


def serve_calls(source):
    program = new_module("solution").__dict__
    exec(compile_program(source), program)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    send(b"L")
    kind, body = next_request()
    if kind == MANY or kind == MANY_HERE:
        answer_calls(program)
    posix._exit(0 if answer_call(program, body) else 1)


def names_in(code):
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            yield from names_in(constant)


def proxy(name):
    """Stands for a function of a program that runs in another sandbox."""

    def function(*args, **kwargs):
        send(b"C", dumps((name, args, kwargs), 2))
        kind, body = receive()
        if kind == b"V":
            return loads(body)
        error_name, text = loads(body)
        error = builtins.__dict__.get(error_name)
        # What ends a loop quietly would end the test's.
        if (not (isinstance(error, type) and issubclass(error, Exception)) or
                issubclass(error, (StopIteration, StopAsyncIteration))):
            error = RuntimeError
        raise error(text)

    function.__name__ = function.__qualname__ = name
    return function


def run_test(function_name, source):
    try:
        code = compile(source, "test.py", "exec", dont_inherit=True)
        test = new_module("test").__dict__
        for name in (*names_in(code), function_name):
            if name and name not in builtins.__dict__ and name not in test:
                test[name] = proxy(name)
        no_check = test.get("check")
        exec(code, test)
        # HumanEval's form: the test defines check(candidate).
        if function_name and test.get("check") is not no_check:
            test["check"](test[function_name])
    except BaseException as error:
        print_error(error)
        send_error(error)
        posix._exit(1)
    send(b"P")
    posix._exit(0)


def serve_tests(token):
    send(b"L")
    run_test(*loads(next_request(token)[1]))


def serve(leave_init):
    for hooks in fork_hooks:
        posix.register_at_fork(**hooks)
    send(b"H")
    mode, source = loads(receive()[1])
    # Programs are not process 1, for which the kernel has its own rules.
    leave_init(mode == "call")
    if mode == "test":
        serve_tests(source)
    try:
        file = posix.open("solution.py", posix.O_WRONLY | posix.O_CREAT, 0o644)
        posix_write(file, source)
        posix.close(file)
        if mode == "stdio":
            serve_inputs(source)
        else:
            serve_calls(source)
    except BaseException as error:
        print_error(error)
        send_error(error)
        posix._exit(1)


def load_zygote(path):
    spec = type(sys)("spec")
    spec.name, spec.origin = "sandbox_zygote", path
    global zygote
    zygote = _imp.create_dynamic(spec)
    _imp.exec_dynamic(zygote)


def next_request(token=b""):
    return zygote.next_request(thread_count(), token)


def preload():
    """Imports, but leaves what modules do after a fork to the forks of runs:
    random alone would seed itself anew for a fifth of what a test costs. So
    every run starts with the same random numbers."""
    import os
    os.register_at_fork = lambda **hooks: fork_hooks.append(hooks)
    for module in PRELOADED:
        __import__(module)
    os.register_at_fork = posix.register_at_fork
    sys.modules["random"].seed(0)


def warm_up():
    """What a call touches for the first time it touches here: each fork would
    do it again."""
    global CHANNEL
    channel, CHANNEL = CHANNEL, posix.open("/dev/null", posix.O_WRONLY)
    for _ in range(40):
        answer_call({"add": lambda a, b: a + b}, dumps(("add", (1, 2), {}), 2))
    posix.close(CHANNEL)
    CHANNEL = channel


def become_zygote(uid):
    """Returns in process 1 of each run, with what splits the runner off it."""
    posix.unsetenv("LD_BIND_NOW")  # Programs see nothing of it.
    del posix.environ[b"LD_BIND_NOW"]
    load_zygote("/zygote.so")
    posix.unlink("/zygote.so")
    preload()
    warm_up()
    gc.collect()
    gc.freeze()
    # Process 1 of a run must not be stopped by its program.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    zygote.serve(uid)
    zygote.enter()
    return zygote.leave


def main():
    builtins.exit = builtins.quit = sys.exit  # As `site` would, left out.
    sys.path[:] = [path for path in sys.path if path.startswith("/usr/lib")]
    uid = sys.argv[1:]
    sys.argv = ["solution.py"]
    if uid:
        serve(become_zygote(int(uid[0])))
    load_zygote("/proc/self/fd/4")
    posix.close(4)
    serve(lambda makes_process: None)


main()
