// JDBC with its default settings on the console: Console PORT. Prints one line a step.
import java.math.BigDecimal;
import java.sql.*;
import java.util.Properties;

public class Console {
    static void say(String step, Object what) { System.out.println(step + ": " + what); }

    static String failure(Connection link, String sql) {
        try (Statement statement = link.createStatement()) {
            statement.execute(sql);
            return "no error";
        } catch (SQLException problem) {
            return problem.getSQLState() + " " + problem.getMessage().lines().findFirst().orElse("");
        }
    }

    public static void main(String[] arguments) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", "postgres");
        String url = "jdbc:postgresql://127.0.0.1:" + arguments[0] + "/pgbouncer";
        try (Connection link = DriverManager.getConnection(url, properties)) {
            say("valid", link.isValid(20));
            // From the sixth on it is a named statement, and numbers come in binary.
            try (PreparedStatement lists = link.prepareStatement("SHOW LISTS")) {
                for (int i = 0; i < 8; ++i) {
                    try (ResultSet rows = lists.executeQuery()) {
                        rows.next();
                        if (i == 7) say("lists", rows.getString("list") + " " + rows.getInt("items"));
                    }
                }
            }
            try (PreparedStatement stats = link.prepareStatement("show stats")) {
                for (int i = 0; i < 8; ++i) {
                    try (ResultSet rows = stats.executeQuery()) {
                        while (rows.next() && !rows.getString("database").equals("pgbouncer")) { }
                        BigDecimal queries = rows.getBigDecimal("total_query_count");
                        if (i == 7) say("stats", queries.intValue() > 10);
                    }
                }
                say("type", stats.getMetaData().getColumnTypeName(2));
            }
            try (Statement statement = link.createStatement()) {
                statement.execute("PAUSE app");
                statement.execute("RESUME app");
                say("help", !statement.execute("SHOW HELP") && statement.getWarnings() != null);
                say("set", statement.executeUpdate("SET query_timeout = 7"));
            }
            say("failure", failure(link, "RESUME app"));
            say("failure", failure(link, "nonsense"));
            link.setAutoCommit(false);
            try (Statement statement = link.createStatement(); ResultSet rows = statement.executeQuery("SHOW STATE")) {
                rows.next();
                say("state", rows.getString(2));
            }
            link.commit();
            link.rollback();
            link.setAutoCommit(true);
            say("isolation", link.getTransactionIsolation() == Connection.TRANSACTION_READ_COMMITTED);
            link.setReadOnly(true);
            link.setReadOnly(false);
            say("valid", link.isValid(20));
        }
    }
}
