// Requests under way, and what their answers do to those behind them (protocol/pipeline).
#include "protocol/pipeline.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace pgweir::protocol {
namespace {

// A request is a letter as on the wire: Q query, F function call, S sync, P parse, B bind, D
// describe, E execute, C close, c copy end; behind it f for a faked answer, s for a skipped one.
struct Letter {
    char letter;
    Request request;
};

constexpr Letter letters[] = {
    {'Q', Request::query},   {'F', Request::function_call},
    {'S', Request::sync},    {'P', Request::parse},
    {'B', Request::bind},    {'D', Request::describe_statement},
    {'E', Request::execute}, {'d', Request::describe_portal},
    {'C', Request::close},   {'c', Request::copy_end},
};

Request request_of(char letter) {
    for (const Letter& l : letters) {
        if (l.letter == letter) return l.request;
    }
    throw std::invalid_argument(std::string("no request: ") + letter);
}

std::string text_of(const Outstanding& o) {
    std::string text;
    for (const Letter& l : letters) {
        if (l.request == o.request) text = l.letter;
    }
    if (o.reply == Reply::fake && o.request != Request::copy_end) text += 'f';
    if (o.reply == Reply::skip) text += 's';
    return o.named ? text + ':' + o.named->name : text;
}

/// `P:a` and `Pf:a` have a name.
Outstanding outstanding_of(std::string_view text) {
    Outstanding o{request_of(text[0]), Reply::forward, {}, {}};
    if (text.substr(1).starts_with('f')) o.reply = Reply::fake;
    if (text.substr(1).starts_with('s')) o.reply = Reply::skip;
    const std::size_t colon = text.find(':');
    if (colon != text.npos) o.named = new NamedStatement(text.substr(colon + 1), {});
    return o;
}

void take_step(Pipeline& pipeline, const std::string& step) {
    if (step == "pop") return pipeline.pop();
    if (step == "error") {
        pipeline.heard();
        pipeline.fail_copy();
        const Request request = pipeline.front().request;
        const bool ends_alone = request == Request::query || request == Request::function_call;
        if (!ends_alone && request != Request::sync) pipeline.fail_batch();
        return;
    }
    if (step == "copy") return pipeline.heard(), pipeline.begin_copy_in();
    if (step == "copied") return pipeline.heard(), pipeline.end_copy();
    if (step == "heard") return pipeline.heard();
    if (step == "extra") return pipeline.pop_surplus();
    if (step == "c") return pipeline.push_copy_end();
    pipeline.push(outstanding_of(step));
}

std::string queue_of(const Pipeline& pipeline) {
    std::string text;
    pipeline.for_each(
        [&](const Outstanding& o) { text += (text.empty() ? "" : " ") + text_of(o); });
    return text;
}

std::string undone_of(Pipeline& pipeline) {
    std::string text;
    for (const Outstanding& o : pipeline.undone()) text += (text.empty() ? "" : " ") + text_of(o);
    return text;
}

std::string flags_of(const Pipeline& pipeline) {
    std::string text;
    if (pipeline.settled()) text += " settled";
    if (pipeline.skipping()) text += " skipping";
    if (pipeline.copying_in()) text += " copying";
    if (pipeline.surplus() > 0) text += " surplus" + std::to_string(pipeline.surplus());
    return text.empty() ? text : text.substr(1);
}

struct PipelineCase {
    const char* name;
    const char* steps;
    const char* queue;
    const char* undone;  // newest first
    const char* flags;
};

constexpr PipelineCase pipeline_cases[] = {
    {"nothing yet", "", "", "", "settled"},
    {"a query", "Q", "Q", "", ""},
    {"a query and its answer", "Q pop", "", "", "settled"},
    {"a function call and its answer", "F pop", "", "", "settled"},
    {"first come, first served", "Q S P pop", "S P", "", ""},
    {"a batch", "P B d E S", "P B d E S", "", ""},
    {"a batch answered", "P B E S pop pop pop pop", "", "", "settled"},
    {"more than there is room for", "Q Q Q Q Q Q Q Q Q S pop", "Q Q Q Q Q Q Q Q S", "", ""},

    {"a batch without an end is not settled", "P pop", "", "", ""},
    {"nor is what comes behind a Sync", "S P pop pop", "", "", ""},
    {"a query ends it as well", "P Q pop pop", "", "", "settled"},
    {"and so does a function call", "P F pop pop", "", "", "settled"},
    {"what the server is not sent opens no batch", "Pf pop", "", "", "settled"},
    {"what the client does not see opens one", "Ps pop", "", "", ""},
    {"our own query", "Qs pop", "", "", "settled"},

    {"an error voids all up to the Sync", "P B E S error", "S", "E B P", ""},
    {"but what was answered", "P B E S pop error", "S", "E B", ""},
    {"and not what is behind the Sync", "P S B S error", "S B S", "P", ""},
    {"the Sync answered, all is settled", "P B S error pop", "", "B P", "settled"},
    {"an error before the Sync came", "P B error", "", "B P", "skipping"},
    {"what follows is void at once, newest first", "P error B E", "", "E B P", "skipping"},
    {"until a Sync", "P error B S E", "S E", "B P", ""},
    {"a query within a failed batch is void", "P Q S error", "S", "Q P", ""},
    {"a query behind one too", "P error Q", "", "Q P", "skipping"},
    {"an error of a query voids nothing", "Q P S error pop", "P S", "", ""},
    {"nor does one of a function call", "F P S error pop", "P S", "", ""},
    {"nor one of a Sync", "S P S error pop", "P S", "", ""},
    {"two batches fail", "P:a S P:b S error pop error pop", "", "P:a P:b", "settled"},
    {"fakes and skips are voided too", "B Cs Ps Pf Cf S error", "S", "Cf Pf Ps Cs B", ""},

    {"copy, simple", "Q copy", "Q", "", "copying"},
    {"its end", "Q copy c", "Q", "", ""},
    {"it worked", "Q copy c copied pop", "", "", "settled"},
    {"it failed", "Q copy error pop", "", "", "settled"},
    {"it failed, and its end comes late", "Q copy error c pop", "c", "", ""},
    {"or when all is over", "Q copy error pop c", "", "", "settled"},
    {"its end came first", "Q c", "Q c", "", ""},
    {"and is found", "Q c copy", "Q", "", ""},
    {"of two the first", "Q c c copy copied copy", "Q", "", ""},
    {"one of two has come", "Q c copy copied copy", "Q", "", "copying"},
    {"an end that nothing asked for", "c", "", "", "settled"},
    {"it is no request of the batch", "P pop c", "", "", ""},

    {"copy, extended", "B E S pop copy", "E", "", "copying"},
    {"its Sync is read over", "E S copy c S", "E S", "", ""},
    {"it worked", "E S copy c S copied pop pop", "", "", "settled"},
    {"not settled before the Sync", "E S copy c copied pop", "", "", ""},
    {"all of it sent at once", "E S c S copy", "E S", "", ""},
    {"what is behind it stays", "E c S Q copy", "E S Q", "", ""},
    {"Sync amid data", "E copy S S", "E", "", "copying"},
    {"and it worked", "E copy S c copied pop S pop", "", "", "settled"},
    {"Sync amid data of a simple one", "Q copy S c copied pop", "", "", "settled"},

    {"a COPY failed behind a Sync", "E S copy error", "", "E", "skipping surplus1"},
    {"the Sync had not been read", "E S copy error extra", "", "E", "settled"},
    {"it had, and another one came", "E S copy error S pop", "", "E", "surplus1"},
    {"both are answered", "E S copy error S pop extra", "", "E", "settled"},
    {"something else is answered", "E S copy error S pop Q heard pop", "", "E", "settled"},
    {"Sync amid data of one that fails", "E copy S error", "", "E", "skipping surplus1"},
    {"and that has ended before", "E copy S c S error", "S", "E", "surplus1"},
    {"a simple one, before it is over", "Q copy S error", "Q", "", ""},
    {"a simple one, over", "Q copy S error pop", "", "", "surplus1"},
    {"a simple one, over, with two", "Q copy S S error pop extra", "", "", "surplus1"},
    {"all sent, and failed at once", "E S c S copy error pop", "", "E", "surplus1"},
    {"failed before it began", "E S c S error pop pop pop", "", "E", "settled"},
    {"a batch begun meanwhile stays open", "Q copy S error pop P extra pop", "", "", ""},
};

TEST(Pipeline, KeepsTheBooks) {
    for (const PipelineCase& c : pipeline_cases) {
        SCOPED_TRACE(c.name);
        Pipeline pipeline;
        std::istringstream steps(c.steps);
        for (std::string step; steps >> step;) take_step(pipeline, step);

        EXPECT_EQ(queue_of(pipeline), c.queue);
        EXPECT_EQ(undone_of(pipeline), c.undone);
        EXPECT_EQ(flags_of(pipeline), c.flags);
    }
}

struct FakeCase {
    const char* name;
    const char* steps;
    bool front_is_fake;
    bool only_fakes;
};

constexpr FakeCase fake_cases[] = {
    {"nothing", "", false, true},
    {"a fake", "Pf", true, true},
    {"two", "Pf Cf", true, true},
    {"a copy end is one", "Q c pop", true, true},
    {"a fake and a Sync", "Pf S", true, false},
    {"a fake behind a skip", "Ps Pf", false, false},
};

TEST(Pipeline, TellsFakes) {
    for (const FakeCase& c : fake_cases) {
        SCOPED_TRACE(c.name);
        Pipeline pipeline;
        std::istringstream steps(c.steps);
        for (std::string step; steps >> step;) take_step(pipeline, step);
        EXPECT_EQ(pipeline.front_is_fake(), c.front_is_fake);
        EXPECT_EQ(pipeline.only_fakes(), c.only_fakes);
    }
}

struct BatchCase {
    const char* name;
    const char* steps;
    std::uint64_t batch;
    std::uint64_t answered;
};

constexpr BatchCase batch_cases[] = {
    {"the first", "P B", 0, 0},
    {"the second begins with the Sync", "P S", 1, 0},
    {"the first is answered", "P S pop pop", 1, 1},
    {"a query is part of one", "P S Q pop pop pop", 1, 1},
    {"a failed batch is answered too", "P S B S error pop", 2, 1},
    {"a Sync within COPY counts for nothing", "E copy S S", 0, 0},
    {"nor does one before it", "E S copy", 1, 1},
    {"nor one that all came before", "E S S c S copy", 3, 2},
};

TEST(Pipeline, CountsBatches) {
    for (const BatchCase& c : batch_cases) {
        SCOPED_TRACE(c.name);
        Pipeline pipeline;
        std::istringstream steps(c.steps);
        for (std::string step; steps >> step;) take_step(pipeline, step);
        EXPECT_EQ(pipeline.batch(), c.batch);
        EXPECT_EQ(pipeline.answered(), c.answered);
    }
}

TEST(Pipeline, MarksNamesAtADiscard) {
    const NamedStatementPtr before(new NamedStatement("before", {}));
    const NamedStatementPtr behind(new NamedStatement("behind", {}));
    const NamedStatementPtr passing(new NamedStatement("passing", {}));
    Pipeline pipeline;
    pipeline.push({Request::query, Reply::forward, {}, {}});
    pipeline.push({Request::close, Reply::fake, before, {}});
    pipeline.push({Request::parse, Reply::fake, behind, {}});
    pipeline.push({Request::parse, Reply::forward, passing, {}});
    pipeline.push({Request::close, Reply::fake, passing, {}});
    pipeline.discard();

    EXPECT_EQ(pipeline.discards(), 1u);
    EXPECT_TRUE(before->gone) << "its Close may be undone, and must not bring it back";
    EXPECT_EQ(before->kept_at, 0u);
    EXPECT_FALSE(behind->gone);
    EXPECT_EQ(behind->kept_at, 1u);
    EXPECT_FALSE(passing->gone) << "its Close may be undone, and brings it back";
}

}  // namespace
}  // namespace pgweir::protocol
