// Logs in once for each element of the JSON list in argv[2] (what pg.Client takes, `ca`, `cert` and `key` of ssl as
// file names) and prints a JSON list: the user at the server, or the error.
'use strict';
const fs = require('fs');
const { Client } = require('pg');

async function login(options) {
  for (const name of ['ca', 'cert', 'key']) {
    if (options.ssl && options.ssl[name]) options.ssl[name] = fs.readFileSync(options.ssl[name]);
  }
  const client = new Client({ ...options, connectionTimeoutMillis: 30000 });
  client.on('error', () => {});
  try {
    await client.connect();
    const answer = await client.query('select current_user');
    await client.end();
    return answer.rows[0].current_user;
  } catch (error) {
    return `error: ${error.message}`;
  }
}

(async () => {
  const outcomes = [];
  for (const options of JSON.parse(process.argv[2])) outcomes.push(await login(options));
  console.log(JSON.stringify(outcomes));
})();
