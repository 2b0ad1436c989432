// JDBC through whatever listens on a port: Driver PORT DATABASE TABLE MODE. Prints one line a step, the same
// for the same mode whatever is in between.
import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.sql.*;
import java.util.*;
import java.util.concurrent.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

public class Driver {
    static final int CLIENTS = 12;
    static final int ROUNDS = 40;
    static final int LARGE = 1 << 20;

    static String url;
    static String table;

    static Connection connect(String... options) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", "scram_user");
        properties.setProperty("password", "scram-secret");
        properties.setProperty("prepareThreshold", "1");
        properties.setProperty("connectTimeout", "20");
        properties.setProperty("socketTimeout", "60");
        for (int i = 0; i < options.length; i += 2) properties.setProperty(options[i], options[i + 1]);
        return DriverManager.getConnection(url, properties);
    }

    static void say(String step, Object what) { System.out.println(step + ": " + what); }

    static void execute(Connection link, String sql) throws SQLException {
        try (Statement statement = link.createStatement()) { statement.execute(sql); }
    }

    static String value(Connection link, String sql) throws SQLException {
        try (Statement statement = link.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            rows.next();
            return rows.getString(1);
        }
    }

    static String failure(Connection link, String sql) {
        try {
            execute(link, sql);
            return "no error";
        } catch (SQLException problem) {
            return problem.getSQLState() + " " + problem.getMessage().lines().findFirst().orElse("");
        }
    }

    static String count(Connection link) throws SQLException {
        return value(link, "select count(*) || ' rows, sum ' || coalesce(sum(number), 0) from " + table);
    }

    interface Step { Object run(Connection link) throws Exception; }

    /** A step with a connection of its own. */
    static void step(String name, Step step, String... options) throws Exception {
        try (Connection link = connect(options)) { say(name, step.run(link)); }
    }

    static Object simple(Connection link) throws SQLException {
        List<Object> seen = new ArrayList<>();
        try (Statement statement = link.createStatement()) {
            boolean hasRows = statement.execute("select 1 as a; select 'two', null; select 3 where false");
            while (hasRows) {
                ResultSet rows = statement.getResultSet();
                int columns = rows.getMetaData().getColumnCount();
                while (rows.next())
                    for (int column = 1; column <= columns; column++) seen.add(rows.getString(column));
                seen.add("end");
                hasRows = statement.getMoreResults();
            }
        }
        return seen;
    }

    static Object typed(Connection link) throws SQLException {
        List<Object> seen = new ArrayList<>();
        String sql = "select ?::int, ?::bigint, ?::float8, ?::text, ?::numeric, ?::date, ?::int[], ?::bool";
        try (PreparedStatement statement = link.prepareStatement(sql)) {
            for (int round = 0; round < 3; round++) {
                statement.setInt(1, round);
                statement.setLong(2, 1L << 40);
                statement.setDouble(3, 0.5);
                statement.setString(4, "größe ' \\ \"");
                statement.setBigDecimal(5, new java.math.BigDecimal("12345.6789"));
                statement.setDate(6, java.sql.Date.valueOf("2024-02-29"));
                statement.setArray(7, link.createArrayOf("int4", new Integer[] {1, null, 3}));
                statement.setNull(8, Types.BOOLEAN);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    for (int column = 1; column <= 8; column++) seen.add(rows.getString(column));
                }
            }
        }
        return seen;
    }

    static Object bytes(Connection link) throws Exception {
        byte[] sent = new byte[LARGE];
        new Random(7).nextBytes(sent);
        try (PreparedStatement statement = link.prepareStatement("select ?::bytea, length(?::bytea)")) {
            boolean equal = true;
            int length = 0;
            for (int round = 0; round < 3; round++) {
                statement.setBytes(1, sent);
                statement.setBytes(2, sent);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    equal &= Arrays.equals(sent, rows.getBytes(1));
                    length = rows.getInt(2);
                }
            }
            return length + " " + equal;
        }
    }

    static Object keys(Connection link) throws SQLException {
        List<Object> seen = new ArrayList<>();
        execute(link, "truncate " + table + " restart identity");
        String sql = "insert into " + table + " (owner, number) values (?, ?)";
        try (PreparedStatement insert = link.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)) {
            for (int number = 0; number < 5; number++) {
                insert.setString(1, "keys");
                insert.setInt(2, number);
                seen.add(insert.executeUpdate());
                try (ResultSet keys = insert.getGeneratedKeys()) {
                    while (keys.next()) seen.add(keys.getLong("id"));
                }
            }
        }
        return seen;
    }

    static int batchOf(Connection link, int rows, int returnKeys) throws SQLException {
        String sql = "insert into " + table + " (owner, number) values ('batch', ?)";
        try (PreparedStatement insert = link.prepareStatement(sql, returnKeys)) {
            for (int number = 0; number < rows; number++) {
                insert.setInt(1, number);
                insert.addBatch();
            }
            int inserted = 0;
            for (int changed : insert.executeBatch()) inserted += changed;
            if (returnKeys == Statement.RETURN_GENERATED_KEYS) {
                try (ResultSet keys = insert.getGeneratedKeys()) {
                    while (keys.next()) inserted += 1000;
                }
            }
            return inserted;
        }
    }

    static Object batches(Connection link) throws SQLException {
        List<Object> seen = new ArrayList<>();
        link.setAutoCommit(false);
        seen.add(batchOf(link, 500, Statement.NO_GENERATED_KEYS));
        seen.add(batchOf(link, 200, Statement.RETURN_GENERATED_KEYS));
        link.commit();
        String sql = "insert into " + table + " (owner, number) values ('bad batch', 10 / ?)";
        try (PreparedStatement insert = link.prepareStatement(sql)) {
            for (int number : new int[] {1, 2, 0, 5}) {
                insert.setInt(1, number);
                insert.addBatch();
            }
            seen.add(Arrays.toString(insert.executeBatch()));
        } catch (BatchUpdateException problem) {
            seen.add(problem.getSQLState() + " " + Arrays.toString(problem.getUpdateCounts()));
        }
        seen.add(failure(link, "select 1"));
        link.rollback();
        try (Statement statement = link.createStatement()) {
            for (int number = 0; number < 5; number++)
                statement.addBatch("insert into " + table + " (owner, number) values ('text', " + number + ")");
            seen.add(Arrays.toString(statement.executeBatch()));
        }
        link.commit();
        seen.add(count(link));
        link.commit();
        return seen;
    }

    static Object batchWithoutTransaction(Connection link) throws SQLException {
        return batchOf(link, 300, Statement.NO_GENERATED_KEYS) + " " + count(link);
    }

    static Object transactions(Connection link) throws SQLException {
        List<Object> seen = new ArrayList<>();
        String insert = "insert into " + table + " (owner, number) values ('tx', 1)";
        execute(link, "truncate " + table);
        link.setAutoCommit(false);
        execute(link, insert);
        link.commit();
        execute(link, insert);
        link.rollback();
        seen.add(count(link));
        seen.add(failure(link, "select 1 / 0"));
        seen.add(failure(link, "select 2"));
        link.rollback();
        execute(link, insert);
        Savepoint savepoint = link.setSavepoint("here");
        execute(link, insert);
        seen.add(failure(link, "select * from no_such_table"));
        link.rollback(savepoint);
        execute(link, insert);
        link.commit();
        seen.add(count(link));
        link.commit();
        link.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        link.setReadOnly(true);
        seen.add(failure(link, insert));
        link.rollback();
        seen.add(value(link, "show transaction_isolation"));
        link.rollback();
        return seen;
    }

    /** The driver itself sets a savepoint before every statement. */
    static Object autosave(Connection link) throws SQLException {
        List<Object> seen = new ArrayList<>();
        link.setAutoCommit(false);
        execute(link, "insert into " + table + " (owner, number) values ('autosave', 5)");
        seen.add(failure(link, "select 1 / 0"));
        seen.add(value(link, "select 'alive'"));
        link.commit();
        seen.add(count(link));
        link.commit();
        return seen;
    }

    static Object fetchSize(Connection link) throws SQLException {
        List<Object> seen = new ArrayList<>();
        link.setAutoCommit(false);
        String sql = "select n, repeat('x', 200) from generate_series(1, ?) n";
        try (PreparedStatement statement = link.prepareStatement(sql)) {
            for (int limit : new int[] {20000, 999, 1000, 0}) {
                statement.setFetchSize(100);
                statement.setInt(1, limit);
                long sum = 0;
                try (ResultSet rows = statement.executeQuery()) {
                    while (rows.next()) sum += rows.getInt(1) + rows.getString(2).length();
                }
                seen.add(sum);
            }
            // Two portals open at the same time, one of them left before its end.
            statement.setInt(1, 5000);
            try (ResultSet rows = statement.executeQuery();
                 PreparedStatement other = link.prepareStatement("select g from generate_series(1, 950) g")) {
                other.setFetchSize(10);
                long sum = 0;
                try (ResultSet others = other.executeQuery()) {
                    while (others.next() && rows.next()) sum += others.getInt(1) * rows.getInt(1);
                }
                seen.add(sum);
            }
        }
        link.commit();
        return seen;
    }

    static Object copy(Connection link) throws Exception {
        List<Object> seen = new ArrayList<>();
        CopyManager copies = link.unwrap(PGConnection.class).getCopyAPI();
        execute(link, "truncate " + table + " restart identity");
        StringBuilder text = new StringBuilder();
        for (int number = 0; number < 50000; number++) text.append("copy\t").append(number).append('\n');
        String in = "copy " + table + " (owner, number) from stdin";
        seen.add(copies.copyIn(in, new StringReader(text.toString())));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        seen.add(copies.copyOut("copy (select * from " + table + " order by id) to stdout", out));
        seen.add(digest(out.toByteArray()));
        out.reset();
        copies.copyOut("copy (select number from " + table + " order by id) to stdout (format binary)", out);
        seen.add(digest(out.toByteArray()));
        try {
            seen.add(copies.copyIn(in, new StringReader("copy\t1\ncopy\tnot a number\n")));
        } catch (SQLException problem) {
            seen.add(problem.getSQLState());
        }
        var open = copies.copyIn(in);
        open.writeToCopy("copy\t7\n".getBytes(StandardCharsets.US_ASCII), 0, 7);
        open.cancelCopy();
        seen.add(count(link));
        return seen;
    }

    static String digest(byte[] bytes) throws Exception {
        return bytes.length + " " + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-1").digest(bytes));
    }

    static Object cancel(Connection link) throws Exception {
        List<Object> seen = new ArrayList<>();
        ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
        try (Statement statement = link.createStatement()) {
            timer.schedule(() -> { statement.cancel(); return null; }, 300, TimeUnit.MILLISECONDS);
            statement.execute("select pg_sleep(30)");
            seen.add("not cancelled");
        } catch (SQLException problem) {
            seen.add(problem.getSQLState());
        } finally {
            timer.shutdownNow();
        }
        seen.add(value(link, "select 'alive'"));
        try (Statement statement = link.createStatement()) {
            statement.setQueryTimeout(1);
            statement.execute("select pg_sleep(30)");
        } catch (SQLException problem) {
            seen.add(problem.getSQLState());
        }
        seen.add(value(link, "select 'alive'"));
        return seen;
    }

    static Object notices(Connection link) throws SQLException {
        List<Object> seen = new ArrayList<>();
        try (Statement statement = link.createStatement()) {
            statement.execute("do $$ begin raise notice 'first %', 1; raise warning 'second'; end $$");
            for (SQLWarning one = statement.getWarnings(); one != null; one = one.getNextWarning())
                seen.add(one.getSQLState() + " " + one.getMessage());
        }
        return seen;
    }

    static Object metadata(Connection link) throws SQLException {
        List<Object> seen = new ArrayList<>();
        try (ResultSet columns = link.getMetaData().getColumns(null, "public", table, null)) {
            while (columns.next()) seen.add(columns.getString("COLUMN_NAME") + " " + columns.getString("TYPE_NAME"));
        }
        try (PreparedStatement statement = link.prepareStatement("select id, owner from " + table + " where id = ?")) {
            seen.add(statement.getParameterMetaData().getParameterTypeName(1));
            seen.add(statement.getMetaData().getColumnTypeName(2));
        }
        seen.add(failure(link, "select from from"));
        seen.add(link.isValid(5));
        return seen;
    }

    /** More clients than servers; each sees its own rows only, with statements prepared once and used often. */
    static String client(int number, boolean transactions) throws Exception {
        try (Connection link = connect();
             PreparedStatement echo = link.prepareStatement("select ?::text, ?::int + " + number);
             PreparedStatement insert = link.prepareStatement(
                 "insert into " + table + " (owner, number) values (?, ?) returning owner, number");
             PreparedStatement mine = link.prepareStatement(
                 "select count(*), min(owner), max(owner) from " + table + " where owner = ?")) {
            String owner = "client " + number;
            for (int round = 0; round < ROUNDS; round++) {
                link.setAutoCommit(!transactions || round % 2 == 0);
                echo.setString(1, owner);
                echo.setInt(2, round);
                expect(echo, owner, String.valueOf(round + number));
                insert.setString(1, owner);
                insert.setInt(2, round);
                expect(insert, owner, String.valueOf(round));
                mine.setString(1, owner);
                expect(mine, String.valueOf(round + 1), owner, owner);
                try (PreparedStatement once = link.prepareStatement("select " + round % 7 + ", ?::text")) {
                    once.setString(1, owner);
                    expect(once, String.valueOf(round % 7), owner);
                }
                if (!link.getAutoCommit()) link.commit();
            }
            return "ok";
        }
    }

    static void expect(PreparedStatement statement, String... values) throws SQLException {
        try (ResultSet rows = statement.executeQuery()) {
            rows.next();
            for (int column = 1; column <= values.length; column++)
                if (!values[column - 1].equals(rows.getString(column)))
                    throw new IllegalStateException("got " + rows.getString(column) + " for " + values[column - 1]);
            if (rows.next()) throw new IllegalStateException("a row too many");
        }
    }

    static void concurrent(boolean transactions) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(CLIENTS);
        List<Future<String>> clients = new ArrayList<>();
        for (int number = 0; number < CLIENTS; number++) {
            int mine = number;
            clients.add(threads.submit(() -> client(mine, transactions)));
        }
        List<String> seen = new ArrayList<>();
        for (Future<String> client : clients) {
            try {
                seen.add(client.get());
            } catch (ExecutionException problem) {
                seen.add(String.valueOf(problem.getCause()));
            }
        }
        threads.shutdown();
        say("concurrent", seen);
    }

    public static void main(String[] arguments) throws Exception {
        url = "jdbc:postgresql://127.0.0.1:" + arguments[0] + "/" + arguments[1];
        table = arguments[2];
        boolean transactions = !arguments[3].equals("statement");
        DriverManager.setLoginTimeout(20);
        step("simple", Driver::simple);
        step("simple protocol", Driver::simple, "preferQueryMode", "simple");
        step("typed", Driver::typed);
        step("typed, text only", Driver::typed, "binaryTransfer", "false");
        step("typed, simple protocol", Driver::typed, "preferQueryMode", "simple");
        step("bytes", Driver::bytes);
        step("generated keys", Driver::keys);
        step("batch", Driver::batchWithoutTransaction);
        step("copy", Driver::copy);
        step("cancel", Driver::cancel);
        step("notices", Driver::notices);
        step("metadata", Driver::metadata);
        if (transactions) {
            step("batches", Driver::batches);
            step("batches, rewritten", Driver::batches, "reWriteBatchedInserts", "true");
            step("transactions", Driver::transactions);
            step("autosave", Driver::autosave, "autosave", "always");
            step("fetch size", Driver::fetchSize);
            step("prepared at once", Driver::fetchSize, "prepareThreshold", "-1");
        }
        try (Connection link = connect()) { execute(link, "truncate " + table); }
        concurrent(transactions);
    }
}
