// node-postgres with its default settings on the console: console.js PORT. Prints one line a step.
'use strict';
const { Client, Pool } = require('pg');

const settings = { host: '127.0.0.1', port: Number(process.argv[2]), database: 'pgbouncer', user: 'postgres' };
const say = (step, what) => console.log(`${step}: ${JSON.stringify(what)}`);

async function failure(query) {
    try {
        await query;
        return 'no error';
    } catch (problem) {
        return `${problem.code} ${problem.message}`;
    }
}

(async () => {
    const client = new Client({ ...settings, application_name: 'console.js', statement_timeout: 20000 });
    await client.connect();
    for (let i = 0; i < 2; ++i) {  // a named statement
        const lists = await client.query({ name: 'lists', text: 'SHOW LISTS' });
        if (i === 1) say('lists', [String(lists.rows[0].list), lists.rows[0].items]);
    }
    const state = await client.query('show state', []);
    say('state', state.rows);
    say('command', (await client.query('PAUSE app')).command);
    say('command', (await client.query({ text: 'RESUME app', values: [] })).command);
    say('failure', await failure(client.query('RESUME app')));
    say('failure', await failure(client.query('nonsense', ['parameter'])));
    await client.query('BEGIN');
    say('alive', (await client.query('SELECT 1')).rows);
    await client.query('COMMIT');
    say('alive', (await client.query({ name: 'alive', text: 'select 1' })).rows);
    await client.end();
    const pool = new Pool({ ...settings, max: 3 });
    const versions = await Promise.all([1, 2, 3, 4].map(() => pool.query('SHOW VERSION')));
    say('pool', versions.map((one) => one.rows[0].version.split(' ')[0]));
    await pool.end();
})();
