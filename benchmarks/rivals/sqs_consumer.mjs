// Rival process: BBC's sqs-consumer on Node: `sqs-consumer` handles one by one, `sqs-consumer-batch` ten at a time.
// A spin is a loop of its own, calibrated to a millisecond of this interpreter: CPU-bound rows of Node are no Python.

import fs from "node:fs";
import { Consumer } from "sqs-consumer";
import { SQSClient } from "@aws-sdk/client-sqs";

const { BENCH_WORK: kind, BENCH_PAUSE: pause, BENCH_EFFECTS: effects, BENCH_QUEUE_URL: queueUrl } = process.env;
const file = effects ? fs.openSync(effects, "a") : -1;

function spin(iterations) {
  let total = 0;
  for (let number = 0; number < iterations; number++) total = (total + (number & 7)) | 0;
  return total;
}

function calibrate() {
  const iterations = 10_000_000;
  let best = Infinity;
  for (let turn = 0; turn < 5; turn++) {
    const before = process.hrtime.bigint();
    spin(iterations);
    best = Math.min(best, Number(process.hrtime.bigint() - before));
  }
  return Math.round((iterations * 1e6) / best);
}

const iterations = kind === "spin" ? calibrate() : 0;

function tell(step, number, name) {
  if (file >= 0) fs.writeSync(file, `${step} ${number} ${process.hrtime.bigint()} ${process.pid} ${name}\n`);
}

async function work(message) {
  const number = message.Body.split(" ", 1)[0];
  tell("start", number, message.MessageId);
  if (kind === "spin") spin(iterations);
  if (kind === "pause") await new Promise((resolve) => setTimeout(resolve, Number(pause) * 1000));
  tell("end", number, message.MessageId);
}

const options = {
  queueUrl,
  batchSize: 10,
  waitTimeSeconds: 10,
  sqs: new SQSClient({ region: "us-east-1", endpoint: process.env.AWS_ENDPOINT_URL }),
};
if (process.argv[2] === "sqs-consumer-batch") {
  options.handleMessageBatch = async (messages) => {
    await Promise.all(messages.map(work));
    return messages;
  };
} else {
  options.handleMessage = async (message) => {
    await work(message);
    return message;
  };
}
const consumer = Consumer.create(options);
for (const event of ["error", "processing_error"]) consumer.on(event, (error) => console.error(error.message));
consumer.start();
