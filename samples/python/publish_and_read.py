"""Publishes steps to Shunt and reads their results, with nothing of Shunt's: confluent-kafka and its Avro classes.

Every second step goes as Avro, with the schema that `shunt schemas register` put into the registry; the others go as
plain JSON, which needs no registry client. The partitioner is librdkafka's own: Shunt does not rely on the publisher's.
With --feedback each answer is held against the label that was expected, and the verdict goes to agent.feedback.
With --keys requests are sealed with the tenant's data key, and answers are opened (sealed_texts.py).

    pip install -r samples/python/requirements.txt
    python samples/python/publish_and_read.py --tenant acme-batch --feedback
"""

import argparse
import json
import os
import sys
import time
import uuid

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from sealed_texts import DataKeys, open_text, seal

BROKERS = os.environ.get("KAFKA_BROKERS", "127.0.0.1:19092")
REGISTRY_URL = os.environ.get("SCHEMA_REGISTRY_URL", "http://127.0.0.1:18081/apis/ccompat/v7")
NAMESPACE = os.environ.get("SHUNT_NAMESPACE", "")

# Each with the label that is right.
TICKETS = [
    ("The parcel has been sitting in Leeds since Tuesday. Where is it?", "delivery"),
    ("You took 49.90 twice this month, please return one of them.", "billing"),
    ("The kettle arrived with a crack right through the base.", "damage"),
    ("My reset link says expired no matter how fast I click it.", "account"),
]


def topic(name):
    return f"{NAMESPACE}.{name}" if NAMESPACE else name


def make_step(run, number, tenant, keys):
    """The ids and the request; every other field of schemas/step.avsc has a default."""
    request = {
        "messages": [
            {"role": "system", "content": "Label the ticket with one word: billing, delivery, damage or account."},
            {"role": "user", "content": "Still no sign of my order."},
            {"role": "assistant", "content": "delivery"},
            {"role": "user", "content": TICKETS[number % len(TICKETS)][0]},
        ],
        "max_tokens": 6,
        "temperature": 0,
    }
    step_id = f"python-{run}-{number}"
    text = json.dumps(request)
    return {
        "stepId": step_id,
        "taskId": f"python-{run}-task-{number // 4}",
        "tenantId": tenant,
        "kind": "classification",
        "request": seal(keys, tenant, step_id, "request", text) if keys else text,
        "metadata": {"client": "confluent-kafka"},
    }


def at_the_end_of(name):
    """A consumer that gets what is written to the topic from now on. librdkafka reads committed records by default."""
    consumer = Consumer({"bootstrap.servers": BROKERS, "group.id": f"python-{uuid.uuid4()}", "enable.auto.commit": False})
    partitions = consumer.list_topics(name, timeout=10).topics[name]
    if partitions.error is not None:
        raise KafkaException(partitions.error)
    ends = []
    for partition in partitions.partitions:
        _, end = consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=10)
        ends.append(TopicPartition(name, partition, end))
    consumer.assign(ends)
    return consumer


def send(name, records):
    """Publishes (key, value, headers) and returns when all are acknowledged."""
    producer = Producer({"bootstrap.servers": BROKERS, "enable.idempotence": True})
    failed = []

    def delivered(error, message):
        if error is not None:
            failed.append(error)

    for key, value, headers in records:
        producer.produce(name, key=key, value=value, headers=headers, on_delivery=delivered)
    if producer.flush(30) > 0 or failed:
        sys.exit(f"not all records were acknowledged: {failed}")


JSON_HEADERS = [("content-type", b"application/json")]


def publish(steps, registry):
    name = topic("agent.steps")
    to_avro = AvroSerializer(registry, conf={"auto.register.schemas": False, "use.latest.version": True})
    context = SerializationContext(name, MessageField.VALUE)
    records = []
    for number, step in enumerate(steps):
        if number % 2 == 0:
            records.append((step["taskId"], to_avro(step, context), None))
        else:
            records.append((step["taskId"], json.dumps(step).encode(), JSON_HEADERS))
    send(name, records)


def make_feedback(result, text, expected):
    """The ids are those of the result. The code is the caller's own; atMs is epoch milliseconds, the one field without a default."""
    right = text is not None and text.strip().lower() == expected
    return {
        "stepId": result["stepId"],
        "taskId": result["taskId"],
        "tenantId": result["tenantId"],
        "verdict": "right" if right else "wrong",
        "code": None if right else "wrong_label",
        "actor": "publish_and_read.py",
        "atMs": int(time.time() * 1000),
    }


def read_results(consumer, registry, step_ids, timeout_s):
    """Yields one result for each of the steps, as they come."""
    from_avro = AvroDeserializer(registry)
    context = SerializationContext(topic("agent.results"), MessageField.VALUE)
    missing = set(step_ids)
    deadline = time.monotonic() + timeout_s
    while missing:
        if time.monotonic() > deadline:
            sys.exit(f"no result within {timeout_s} s: {', '.join(sorted(missing))}")
        message = consumer.poll(0.5)
        if message is None:
            continue
        if message.error():
            if message.error().code() == KafkaError._PARTITION_EOF:
                continue
            raise KafkaException(message.error())
        result = from_avro(message.value(), context)
        if result["stepId"] in missing:
            missing.remove(result["stepId"])
            yield result


def main():
    arguments = argparse.ArgumentParser(description="Publish steps to Shunt and read their results.")
    arguments.add_argument("--tenant", default="acme-batch")
    arguments.add_argument("--steps", type=int, default=8)
    arguments.add_argument("--feedback", action="store_true", help="send whether each answer was right")
    arguments.add_argument("--keys", help="directory of data keys: requests are sealed")
    arguments.add_argument("--timeout", type=float, default=120, help="seconds until the last result")
    options = arguments.parse_args()

    run = uuid.uuid4().hex[:8]
    keys = DataKeys(options.keys) if options.keys else None
    steps = [make_step(run, number, options.tenant, keys) for number in range(options.steps)]
    registry = SchemaRegistryClient({"url": REGISTRY_URL})
    # Before anything is published, so that no result is missed.
    consumer = at_the_end_of(topic("agent.results"))
    feedback = []
    try:
        publish(steps, registry)
        for result in read_results(consumer, registry, [step["stepId"] for step in steps], options.timeout):
            answer = result["answer"]
            if answer and keys:
                answer = open_text(keys, result["tenantId"], result["stepId"], "answer", answer)
            answer = json.loads(answer) if answer else None
            text = answer["choices"][0]["message"]["content"] if answer and answer["choices"] else None
            shown = ("stepId", "taskId", "status", "code", "tier", "model", "standIn", "costMicroUsd", "metadata")
            print(json.dumps({**{name: result[name] for name in shown}, "text": text}), flush=True)
            expected = TICKETS[int(result["stepId"].rsplit("-", 1)[1]) % len(TICKETS)][1]
            feedback.append(make_feedback(result, text, expected))
    finally:
        consumer.close()
    if options.feedback:
        send(topic("agent.feedback"), [(each["taskId"], json.dumps(each).encode(), JSON_HEADERS) for each in feedback])


if __name__ == "__main__":
    main()
