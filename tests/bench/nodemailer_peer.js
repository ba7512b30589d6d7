// node nodemailer_peer.js PORT MESSAGES CONNECTIONS: nodemailer with its pool.
const nodemailer = require('nodemailer');

const [port, messages, connections] = process.argv.slice(2).map(Number);
const sentence = 'The sun sets before five now, and the night tariff makes electricity a third cheaper until the end of March. \n';
const transport = nodemailer.createTransport({
  host: '127.0.0.1', port, secure: false, ignoreTLS: true,
  pool: true, maxConnections: connections, maxMessages: Infinity,
});

async function worker(state) {
  for (let n = state.next++; n < messages; n = state.next++) {
    await transport.sendMail({
      from: 'Acme Energy <news@acme.example>',
      to: `p${n}@example.org`,
      subject: 'Person, news for you',
      text: `Dear Person,\n\nyou owe us €${n}.50 and have been with us since 2015.\n\n` + sentence.repeat(44),
    });
  }
}

const state = { next: 0 };
// More are asked for than there are connections, so that the pool never waits for this loop.
Promise.all(Array.from({ length: connections * 4 }, () => worker(state))).then(
  () => transport.close(),
  (error) => { console.error(error.message); process.exit(1); },
);
