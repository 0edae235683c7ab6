"""Runs one program for the sandbox library, from inside the sandbox.

Everything here shares the sandbox with the program and is at its mercy. It is
given inputs one at a time and sends back values and exit statuses; expected
values, test code of the program's checker and verdicts never come here, so
there is nothing to steal and nothing to forge. Built-in modules only: each
import costs every run.

A message is 4 bytes of length, little-endian, one byte of kind and a body.
Requests: S set up (mode, source), I run with standard input, C call (name,
args, kwargs), T run test code (function, code). Answers: H hello, L loaded,
E error (type, text), V value, U value that cannot be sent (type), P test
passed, X process ended (wait status, CPU microseconds, largest resident KiB).
"""

import builtins
import marshal
import posix
import sys

dumps, loads = marshal.dumps, marshal.loads
posix_read, posix_write = posix.read, posix.write
CONTROL, RESULT = 3, 4
PATH = "/work/solution.py"


def read_exactly(size):
    parts = []
    while size > 0:
        part = posix_read(CONTROL, min(size, 1 << 20))
        if not part:
            posix._exit(0)  # The supervisor is gone or has seen enough.
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def receive():
    header = read_exactly(5)
    return header[4:], read_exactly(int.from_bytes(header[:4], "little"))


def send(kind, body=b""):
    message = memoryview(len(body).to_bytes(4, "little") + kind + body)
    while message:
        message = message[posix_write(RESULT, message):]


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


def new_module(name):
    module = type(sys)(name)
    module.__dict__.update(__builtins__=builtins, __file__=PATH)
    sys.modules[name] = module
    return module


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
        sys.stdin = sys.__stdin__ = open(
            0, encoding="utf-8", errors="surrogateescape", closefd=False)
        exec(code, new_module("__main__").__dict__)
        status = 0
    except SystemExit as error:
        status = exit_status(error.code)
    except BaseException as error:
        print_error(error)
    exit_with(status)


def wait_for(pid):
    """Reports the end of a child, once nothing that it started is left."""
    _, status, usage = posix.wait4(pid, 0)
    try:
        posix.kill(-1, 9)
    except OSError:
        pass
    cpu = int((usage.ru_utime + usage.ru_stime) * 1e6)
    send(b"X", dumps((status, cpu, usage.ru_maxrss), 2))


def serve_inputs(source):
    code = compile(source, PATH, "exec", dont_inherit=True)
    send(b"L")
    while True:
        _, body = receive()
        stdin = posix.memfd_create("stdin")
        rest = memoryview(body)
        while rest:
            rest = rest[posix_write(stdin, rest):]
        posix.lseek(stdin, 0, 0)
        pid = posix.fork()
        if pid == 0:
            posix.dup2(stdin, 0)
            posix.closerange(3, 256)
            del body, rest
            run_main(code)
        posix.close(stdin)
        wait_for(pid)


def find_function(program, name):
    if name in program:
        return program[name]
    if "Solution" in program:  # LeetCode's form.
        return getattr(program["Solution"](), name)
    raise NameError("the program defines no function " + repr(name))


def call(program, body):
    name, args, kwargs = loads(body)
    try:
        value = find_function(program, name)(*args, **kwargs)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException as error:
        print_error(error)
        send_error(error)
        posix._exit(1)
    try:
        answer = dumps(value, 2)
    except ValueError:
        send(b"U", type(value).__name__.encode("utf-8", "replace"))
    else:
        send(b"V", answer)
    posix._exit(0)


def serve_calls(source):
    program = new_module("solution").__dict__
    exec(compile(source, PATH, "exec", dont_inherit=True), program)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    send(b"L")
    while True:
        _, body = receive()
        pid = posix.fork()
        if pid == 0:
            call(program, body)
        wait_for(pid)


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
        if not (isinstance(error, type) and issubclass(error, Exception)):
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


def serve_tests():
    send(b"L")
    while True:
        _, body = receive()
        pid = posix.fork()
        if pid == 0:
            run_test(*loads(body))
        wait_for(pid)


def main():
    send(b"H")
    mode, source = loads(receive()[1])
    sys.argv = ["solution.py"]
    builtins.exit = builtins.quit = sys.exit  # As `site` would, left out.
    sys.path[:] = [path for path in sys.path if path.startswith("/usr/lib")]
    try:
        file = posix.open(PATH, posix.O_WRONLY | posix.O_CREAT, 0o644)
        posix_write(file, source)
        posix.close(file)
        if mode == "stdio":
            serve_inputs(source)
        elif mode == "call":
            serve_calls(source)
        else:
            serve_tests()
    except BaseException as error:
        print_error(error)
        send_error(error)
        posix._exit(1)


main()
