import Foundation
import GuardCore
import GuardRules
import GuardTesting
import Testing

@testable import GuardPolicy

@Suite struct VerdictCacheTests {
    static let rules = """
        ruleset: t
        rules:
          - {id: a, on: [input, output], action: mask, mask: '[{last4}]', match: {pcre: '\\d{4,9}'}}
          - {id: b, on: input, action: block, view: raw, when: {tenants: [acme]}, match: {words: [secret]}}
          - {id: c, on: input, roles: [tool], action: flag, match: {pcre: 'a{2,}b'}}
          - {id: d, on: input, action: allow, suppresses: [a], reason: known numbers, when: {models: [m]}, match: {pcre: 'order \\d+'}}
        """

    static func bundle(_ text: String = rules) throws -> RuleBundle {
        try RuleBundle(files: [.init(path: "t.yaml", content: Array(text.utf8))])
    }

    static func segment(_ text: String, _ role: Role = .user, kind: String = "user") -> TextSegment {
        TextSegment(role: role, kind: kind, text: Array(text.utf8), pieces: [], pointer: "/0")
    }

    /// Random histories that repeat their texts, by several tenants and models: the same verdicts with and without.
    @Test func changesNothing() throws {
        let bundle = try Self.bundle()
        var random = SeededRandom(seed: 3)
        let words = ["secret", "1234", "99887766", "aab", "order 1234", "hello", "what", "of", "it", "é"]
        let texts = (0..<40).map { _ in
            (0..<Int.random(in: 1...40, using: &random)).compactMap { _ in words.randomElement(using: &random) }
                .joined(separator: " ")
        }
        let cache = VerdictCache(bytesMax: 64_000)
        var scratch = EvaluationScratch()
        var found = 0
        var compared = 0
        while compared < Comparisons.wanted {
            let segments = (0..<3).map { _ in
                Self.segment(
                    texts.randomElement(using: &random) ?? "",
                    [.user, .tool, .assistant].randomElement(using: &random) ?? .user)
            }
            let tenant = ["acme", "other", nil].randomElement(using: &random) ?? nil
            let selection = bundle.select(
                phase: .input, model: Bool.random(using: &random) ? "m" : nil, tenant: tenant, route: nil)
            let with = bundle.judge(
                segments, phase: .input, mode: .enforce, selection: selection, cache: cache, tenant: tenant,
                scratch: &scratch)
            let without = bundle.judge(
                segments, phase: .input, mode: .enforce, selection: selection, scratch: &scratch)
            #expect(with.findings == without.findings)
            #expect(with.blocking == without.blocking)
            #expect(with.masks.map { $0.edit } == without.masks.map { $0.edit })
            #expect(with.action == without.action && with.wouldAction == without.wouldAction)
            #expect(cache.bytes <= cache.bytesMax)
            found += with.findings.count
            compared += segments.count
        }
        #expect(compared >= Comparisons.wanted && found > Comparisons.wanted / 20)
        #expect(cache.count > 0)
        let lookups = cache.takeLookups()
        #expect(lookups.hits > 0 && lookups.misses >= cache.count)
        #expect(cache.takeLookups() == (0, 0))
    }

    @Test func keysTellEverythingApart() throws {
        let cache = VerdictCache()
        func key(
            _ text: String = "text", _ role: Role = .user, _ kind: String = "user", _ phase: Phase = .input,
            _ hash: String = "h", _ tenant: String? = nil
        ) -> VerdictCache.Key {
            cache.key(Self.segment(text, role, kind: kind), phase: phase, bundleHash: hash, tenant: tenant)
        }
        let keys = [
            key(), key("texu"), key("text", .tool), key("text", .user, "tool"), key("text", .user, "user", .output),
            key("text", .user, "user", .input, "i"), key("text", .user, "user", .input, "h", ""),
            key("text", .user, "user", .input, "h", "t"), key("tex", .user, "tuser"), key("", .user, "textuser"),
        ]
        #expect(Set(keys).count == keys.count)
        #expect(key() == key())
        // Another process cannot know the key.
        #expect(VerdictCache().key(Self.segment("text"), phase: .input, bundleHash: "h", tenant: nil) != key())
    }

    @Test func failuresAreNotKept() throws {
        let bundle = try Self.bundle("ruleset: t\nrules: [{id: r, on: input, action: flag, match: {pcre: '(a+)+$'}}]")
        var limits = EvaluationScratch(matchesMax: 0)
        let cache = VerdictCache()
        let segment = Self.segment(String(repeating: "a", count: 100))
        let selection = bundle.select(phase: .input, model: nil, tenant: nil, route: nil)
        let evaluation = bundle.evaluate(
            segment, phase: .input, selection: selection, cache: cache, tenant: nil, scratch: &limits)
        #expect(evaluation.failures.map(\.reason) == [.tooManyMatches])
        #expect(cache.count == 0)
    }

    @Test func dropsWhatWasUsedLongestAgo() throws {
        let cache = VerdictCache(bytesMax: 16 * 1024)
        func key(_ number: Int) -> VerdictCache.Key {
            cache.key(Self.segment("\(number)"), phase: .input, bundleHash: "", tenant: nil)
        }
        let often = key(0)
        cache.keep(Evaluation(), for: often)
        for number in 1..<1000 {
            cache.keep(Evaluation(), for: key(number))
            #expect(cache.evaluation(often) != nil)
            #expect(cache.bytes <= cache.bytesMax)
        }
        #expect(cache.evaluation(key(1)) == nil)
        #expect(cache.evaluation(key(999)) != nil)
        // One that is too large for its share is not kept.
        var large = Evaluation()
        large.matches = (0..<1000).map { RuleMatch(rule: 0, range: $0..<$0 + 1, mask: nil) }
        cache.keep(large, for: key(5000))
        #expect(cache.evaluation(key(5000)) == nil)
    }
}
