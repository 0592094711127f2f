import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The work of benchmarks/floor_hop.py in plain Java: kafka-clients, Jackson and the PostgreSQL JDBC driver, the same
 * statements on the same tables, the same scorecard, and publication of what was committed beside the next batch.
 *
 * <p>Arguments: JDBC URL, bootstrap servers, topic in, topic out.
 */
final class PlainHop {
    static final int PARTITIONS = 12;
    static final int BATCH = 2000;

    static final String MOVE = """
            UPDATE offsets o SET next_offset = w.next
            FROM unnest(?::int[], ?::bigint[], ?::bigint[]) AS w (partition, old, next)
            WHERE o.partition = w.partition AND o.next_offset = w.old RETURNING o.partition""";
    static final String LOAD =
            "SELECT account_id, version, bucket FROM account_state WHERE account_id = ANY (?::text[])";
    static final String SAVE = """
            INSERT INTO account_state AS t SELECT * FROM unnest(?::text[], ?::text[], ?::text[], ?::int[], ?::bigint[],
                ?::bigint[], ?::smallint[], ?::real[], ?::text[], ?::bigint[])
            ON CONFLICT (account_id) DO UPDATE SET as_of = excluded.as_of, days = excluded.days,
                past_due = excluded.past_due, balance = excluded.balance, bucket = excluded.bucket,
                score = excluded.score, treatment = excluded.treatment, version = excluded.version
            WHERE t.version < excluded.version""";
    static final String APPEND =
            "INSERT INTO segment (partition, body) SELECT * FROM unnest(?::int[], ?::bytea[]) RETURNING id";
    static final String CLEAR = "DELETE FROM segment WHERE id = ANY (?::bigint[])";

    record Month(String month, int status, long statementBalance, long paid) {}

    record Snapshot(
            String customerId, String accountId, String cardLast4, String productCode, String currency, String asOf,
            String statementDate, String dueDate, long minPaymentDue, long amountPastDue, long principalPastDue,
            long interestPastDue, long lateFee, long balance, long creditLimit, int periodsPastDue,
            List<Month> history) {}

    /** A snapshot and what was decided of it. */
    record State(Snapshot told, int bucket, double score, String treatment, long version) {}

    record Fact(byte[] key, byte[] value) {}

    final ObjectMapper json = JsonMapper.builder()
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .build();
    final ObjectReader decoder = json.readerFor(Snapshot.class);
    final ObjectWriter encoder = json.writerFor(Snapshot.class);
    final Connection database;
    final PreparedStatement move;
    final PreparedStatement load;
    final PreparedStatement save;
    final PreparedStatement append;
    final PreparedStatement clear;
    final KafkaProducer<byte[], byte[]> producer;
    final String topicOut;

    PlainHop(String url, String bootstrap, String topicOut) throws SQLException {
        database = DriverManager.getConnection(url);
        database.setAutoCommit(false);
        move = database.prepareStatement(MOVE);
        load = database.prepareStatement(LOAD);
        save = database.prepareStatement(SAVE);
        append = database.prepareStatement(APPEND);
        clear = DriverManager.getConnection(url).prepareStatement(CLEAR);
        producer = new KafkaProducer<>(
                Map.of(
                        "bootstrap.servers", bootstrap,
                        "acks", "all",
                        "enable.idempotence", true,
                        "compression.type", "snappy",
                        "batch.size", 1 << 20),
                new ByteArraySerializer(),
                new ByteArraySerializer());
        this.topicOut = topicOut;
    }

    public static void main(String[] args) throws Exception {
        new PlainHop(args[0], args[1], args[3]).run(args[1], args[2]);
    }

    /** Hop for ever; what is committed is published while the next batch is handled. */
    void run(String bootstrap, String topicIn) throws Exception {
        ExecutorService beside = Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().factory());
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", bootstrap,
                "enable.auto.commit", false,
                "max.poll.records", BATCH,
                "max.partition.fetch.bytes", 2 << 20);
        try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            begin(consumer, topicIn);
            Future<?> publishing = null;
            while (true) {
                ConsumerRecords<byte[], byte[]> got = consumer.poll(Duration.ofMillis(500));
                if (got.isEmpty()) {
                    continue;
                }
                Map<Integer, List<Fact>> facts = handle(got);
                long[] ids = append(facts);
                database.commit();
                if (publishing != null) {
                    publishing.get();
                }
                publishing = beside.submit(() -> publish(facts, ids));
            }
        }
    }

    private void begin(KafkaConsumer<byte[], byte[]> consumer, String topic) throws SQLException {
        consumer.assign(IntStream.range(0, PARTITIONS).mapToObj(n -> new TopicPartition(topic, n)).toList());
        try (var rows = database.createStatement().executeQuery("SELECT partition, next_offset FROM offsets")) {
            while (rows.next()) {
                consumer.seek(new TopicPartition(topic, rows.getInt(1)), rows.getLong(2));
            }
        }
        database.commit();
    }

    /** Take in what has arrived and return what follows from it, by partition. */
    private Map<Integer, List<Fact>> handle(ConsumerRecords<byte[], byte[]> got) throws IOException, SQLException {
        moveOffsets(got);
        List<Snapshot> taken = new ArrayList<>(got.count());
        for (ConsumerRecord<byte[], byte[]> each : got) {
            taken.add(decoder.readValue(each.value()));
        }
        Map<String, Long> versions = versionsOf(taken);
        Map<Integer, List<Fact>> facts = new HashMap<>();
        Map<String, State> states = new LinkedHashMap<>();
        int place = 0;
        for (ConsumerRecord<byte[], byte[]> each : got) {
            Snapshot told = taken.get(place++);
            long version = versions.merge(told.accountId(), 1L, Long::sum);
            states.put(told.accountId(), decide(told, version));
            byte[] key = told.customerId().getBytes(StandardCharsets.UTF_8);
            facts.computeIfAbsent(each.partition(), n -> new ArrayList<>())
                    .add(new Fact(key, encoder.writeValueAsBytes(told)));
        }
        save(states.values());
        return facts;
    }

    private void moveOffsets(ConsumerRecords<byte[], byte[]> got) throws SQLException {
        int[] partitions = got.partitions().stream().mapToInt(TopicPartition::partition).toArray();
        long[] old = got.partitions().stream().mapToLong(tp -> got.records(tp).getFirst().offset()).toArray();
        long[] next = got.partitions().stream().mapToLong(tp -> got.records(tp).getLast().offset() + 1).toArray();
        int moved = 0;
        try (ResultSet rows = queried(move, partitions, old, next)) {
            while (rows.next()) {
                moved++;
            }
        }
        if (moved != partitions.length) {
            throw new IllegalStateException("somebody else has moved the offsets");
        }
    }

    private Map<String, Long> versionsOf(List<Snapshot> taken) throws SQLException {
        Map<String, Long> versions = new HashMap<>();
        try (ResultSet rows = queried(load, (Object) strings(taken, Snapshot::accountId))) {
            while (rows.next()) {
                versions.put(rows.getString(1), rows.getLong(2));
            }
        }
        return versions;
    }

    /** A scorecard of the simplest kind, figure by figure that of floor_hop.py. */
    private static State decide(Snapshot told, long version) {
        int late = 0;
        int worst = told.history().isEmpty() ? 0 : Integer.MIN_VALUE;
        long paid = 0;
        for (Month month : told.history()) {
            late += month.status() > 0 ? 1 : 0;
            worst = Math.max(worst, month.status());
            paid += month.paid();
        }
        double use = (double) told.balance() / (told.creditLimit() == 0 ? 1 : told.creditLimit());
        double score = 600 - 20 * told.periodsPastDue() - 40 * use - 12 * late - 6 * worst;
        score += 8 * Math.min((double) paid / (told.minPaymentDue() * 6 + 1), 3.0);
        int bucket = Math.min(told.periodsPastDue(), 7);
        return new State(told, bucket, score, bucket >= 4 ? "visit" : bucket >= 2 ? "call" : "remind", version);
    }

    private void save(Collection<State> states) throws SQLException {
        int count = states.size();
        int[] days = new int[count];
        long[] pastDue = new long[count];
        long[] balance = new long[count];
        short[] bucket = new short[count];
        float[] score = new float[count];
        long[] version = new long[count];
        int place = 0;
        for (State each : states) {
            days[place] = each.told().periodsPastDue() * 30;
            pastDue[place] = each.told().amountPastDue();
            balance[place] = each.told().balance();
            bucket[place] = (short) each.bucket();
            score[place] = (float) each.score();
            version[place++] = each.version();
        }
        bind(
                save,
                strings(states, each -> each.told().accountId()),
                strings(states, each -> each.told().customerId()),
                strings(states, each -> each.told().asOf()),
                days, pastDue, balance, bucket, score, strings(states, State::treatment), version);
        save.executeUpdate();
    }

    private long[] append(Map<Integer, List<Fact>> facts) throws SQLException {
        int[] partitions = facts.keySet().stream().mapToInt(Integer::intValue).toArray();
        byte[][] bodies = facts.values().stream().map(PlainHop::packed).toArray(byte[][]::new);
        long[] ids = new long[partitions.length];
        try (ResultSet rows = queried(append, partitions, bodies)) {
            for (int place = 0; rows.next(); place++) {
                ids[place] = rows.getLong(1);
            }
        }
        return ids;
    }

    /** Lengths and bytes of keys and values, one after the other. */
    private static byte[] packed(List<Fact> facts) {
        int size = facts.stream().mapToInt(each -> 8 + each.key().length + each.value().length).sum();
        ByteBuffer body = ByteBuffer.allocate(size);
        for (Fact each : facts) {
            body.putInt(each.key().length).put(each.key()).putInt(each.value().length).put(each.value());
        }
        return body.array();
    }

    private Void publish(Map<Integer, List<Fact>> facts, long[] ids) throws Exception {
        AtomicReference<Exception> failed = new AtomicReference<>();
        facts.forEach((partition, made) -> {
            for (Fact each : made) {
                producer.send(
                        new ProducerRecord<>(topicOut, partition, each.key(), each.value()),
                        (place, error) -> failed.compareAndSet(null, error));
            }
        });
        producer.flush();
        if (failed.get() != null) {
            throw failed.get();
        }
        bind(clear, ids);
        clear.executeUpdate();
        return null;
    }

    private static <T> String[] strings(Collection<T> from, Function<T, String> field) {
        return from.stream().map(field).toArray(String[]::new);
    }

    private static ResultSet queried(PreparedStatement statement, Object... arrays) throws SQLException {
        bind(statement, arrays);
        return statement.executeQuery();
    }

    private static void bind(PreparedStatement statement, Object... arrays) throws SQLException {
        for (int place = 0; place < arrays.length; place++) {
            statement.setObject(place + 1, arrays[place]);
        }
    }
}
