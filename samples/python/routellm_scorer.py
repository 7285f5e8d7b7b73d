"""A RouteLLM router as a scorer of Shunt: the HTTP protocol of docs/scorers.md, with the standard library alone.

    pip install "routellm[serve,eval]"
    python samples/python/routellm_scorer.py --router mf --port 8123

Its answer is {"gain": W}, W being the router's strong win rate of the user's last message. That is an estimate of which of
two answers people prefer, learnt of gpt-4-1106-preview against mixtral-8x7b. It is no calibrated accuracy, so that there is
no "pSuccess" in the answer: Shunt takes that from the scorer behind this one. Nor is W a gain on the gain's scale, which is
below 0 where the frontier model does worse. What it shares with one is the order of the steps, and Shunt's rule, "at or
above the threshold to the frontier", is RouteLLM's. So `threshold.gainPpm` is RouteLLM's threshold times a million
(`python -m routellm.calibrate_threshold` finds one), and no threshold that `shunt calibrate` printed.

A router reads one message: neither the turns before it nor the tools. `mf` and `sw_ranking` send it to OpenAI, whose
embedding they need (OPENAI_API_KEY): give the policy's scorer the region where that is. `bert` and `causal_llm` run here,
and cut what is longer than their model reads.
"""

import argparse
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROUTERS = ("mf", "sw_ranking", "bert", "causal_llm")

# A step is at most 1 MiB, and JSON may write a character of it in six.
MAX_BODY_BYTES = 8 * 1024 * 1024


class Refused(Exception):
    """What the caller did wrong, for the answer."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


def load_router(name):
    """The router's win rate, as a function of the prompt. Loading takes a while, and fetches the model where it is new."""
    try:
        from routellm.controller import Controller
    except ModuleNotFoundError as error:
        if error.name != "routellm":
            raise
        sys.exit('routellm is not installed here: pip install "routellm[serve,eval]", then start this again')
    # The names say where completions go, and none is asked for. They are the models that the routers were trained on.
    controller = Controller(
        routers=[name], strong_model="gpt-4-1106-preview", weak_model="mixtral-8x7b-instruct-v0.1"
    )
    return controller.routers[name].calculate_strong_win_rate


def prompt_of(question):
    """The text of the user's last message. RouteLLM takes the last message; in a step that may be a tool's result."""
    messages = question.get("messages") if isinstance(question, dict) else None
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise Refused(400, "messages is no list of messages")
    for message in reversed(messages):
        if message.get("role") != "user":
            continue
        content = message.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            raise Refused(400, "the content of the user's last message is neither a text nor a list of parts")
        texts = [part.get("text") for part in parts if part.get("type") == "text"]
        if not all(isinstance(text, str) for text in texts):
            raise Refused(400, "a part of the user's last message has no text")
        prompt = "\n".join(texts)
        if prompt.strip() == "":
            raise Refused(400, "the user's last message has no text that a router could read")
        return prompt
    raise Refused(400, "there is no message of the user")


def make_handler(win_rate):
    # Threads keep connections apart. Nothing says that a router may be asked by two of them at once.
    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Header and body go out in one piece: written apart, the second waits for the first's acknowledgement.
        wbufsize = -1

        def do_POST(self):
            try:
                question = self.read_question()
                prompt = prompt_of(question)
                with one_at_a_time:
                    gain = float(win_rate(prompt))
                if not 0 <= gain <= 1:
                    raise ValueError(f"the router's win rate is {gain}")
                self.answer(200, {"gain": gain})
            except Refused as error:
                self.answer(error.status, {"error": str(error)})
            except Exception as error:
                # Its message may quote the prompt: it is for this process's own log alone.
                self.log_error("the router failed: %r", error)
                self.answer(500, {"error": f"the router failed: {type(error).__name__}"})

        def read_question(self):
            length = self.headers.get("content-length", "")
            if not (length.isascii() and length.isdigit()):
                self.close_connection = True
                raise Refused(411, "the length of the body is not told")
            if int(length) > MAX_BODY_BYTES:
                self.close_connection = True
                raise Refused(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
            body = self.rfile.read(int(length))
            if self.path != "/score":
                raise Refused(404, "there is nothing but POST /score")
            try:
                return json.loads(body)
            except (ValueError, RecursionError):
                raise Refused(400, "the body is no JSON") from None

        def answer(self, status, value):
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            if self.close_connection:
                self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code="-", size="-"):
            """One line a step would be too many."""

    return Handler


class ScorerServer(ThreadingHTTPServer):
    daemon_threads = True
    # Connections that may wait to be taken: Shunt opens as many at once as the policy's maxInFlight.
    request_queue_size = 1_024


def main():
    arguments = argparse.ArgumentParser(description="Serve a RouteLLM router to Shunt's HTTP scorer.")
    arguments.add_argument("--router", choices=ROUTERS, required=True, help="mf is the one that RouteLLM recommends")
    arguments.add_argument("--host", default="127.0.0.1", help="no key is checked: let nobody else reach it")
    arguments.add_argument("--port", type=int, default=8123, help="0 takes a free one")
    options = arguments.parse_args()

    handler = make_handler(load_router(options.router))
    with ScorerServer((options.host, options.port), handler) as server:
        print(f"{options.router} answers at http://{options.host}:{server.server_address[1]}/score", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            sys.exit(130)


if __name__ == "__main__":
    main()
