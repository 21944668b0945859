import Crypto
package import GuardCore
package import GuardRules
import Synchronization

/// What the rules found in texts that were judged before, so that a long chat history is not scanned again at every
/// turn (DESIGN section 4 "Verdict cache").
///
/// An entry is the raw evaluation of all rules of a phase and role that are in force for anybody: before selection,
/// allow-lists and modes. The key is an HMAC-SHA256, under a key that this process made at random, of text, role, kind,
/// phase, bundle and tenant, and of the tokenizer where rules count tokens; no text is kept but the mask texts. Failed
/// scans are never kept. Bounded by bytes; each shard drops what was used longest ago.
package final class VerdictCache: Sendable {
    package struct Key: Sendable, Hashable {
        fileprivate var words: (UInt64, UInt64, UInt64, UInt64)

        package static func == (left: Key, right: Key) -> Bool { left.words == right.words }
        // The words are a keyed hash already.
        package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
    }

    /// Texts shorter than this are judged as fast as they are looked up.
    package static let textBytesMin = 64

    package let bytesMax: Int
    private let secret = SymmetricKey(size: .bits256)
    private let shards: [Shard]
    private let hits = Atomic<Int>(0)
    private let misses = Atomic<Int>(0)

    /// - Parameter bytesMax: memory of all entries together.
    package init(bytesMax: Int = 16_777_216) {
        self.bytesMax = bytesMax
        shards = (0..<16).map { _ in Shard() }
    }

    /// - Parameter tokens: `TokenCounting.identity` where rules count tokens.
    package func key(
        _ segment: TextSegment, phase: Phase, bundleHash: String, tenant: String?, tokens: String = ""
    ) -> Key {
        var hmac = HMAC<SHA256>(key: secret)
        // Each part after its length, so that no two lists of parts give the same bytes.
        func add(_ text: some Collection<UInt8>) {
            withUnsafeBytes(of: UInt64(text.count).littleEndian) { hmac.update(data: $0) }
            if text.withContiguousStorageIfAvailable({ hmac.update(data: UnsafeRawBufferPointer($0)) }) == nil {
                hmac.update(data: Array(text))
            }
        }
        add(segment.text)
        add(segment.role.rawValue.utf8)
        add(segment.kind.utf8)
        add(phase.rawValue.utf8)
        add(bundleHash.utf8)
        add(tenant == nil ? [0] : [1])
        add((tenant ?? "").utf8)
        add(tokens.utf8)
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { out in
            hmac.finalize().withUnsafeBytes { out.copyMemory(from: $0) }
        }
        return Key(words: words)
    }

    private func shard(_ key: Key) -> Shard { shards[Int(key.words.1 & 15)] }

    package func evaluation(_ key: Key) -> Evaluation? {
        let known = shard(key).state.withLock { $0.use(key) }
        if known == nil {
            misses.wrappingAdd(1, ordering: .relaxed)
        } else {
            hits.wrappingAdd(1, ordering: .relaxed)
        }
        return known
    }

    /// Texts that were asked for since the last call, found and not.
    package func takeLookups() -> (hits: Int, misses: Int) {
        (hits.exchange(0, ordering: .relaxed), misses.exchange(0, ordering: .relaxed))
    }

    /// Keeps an evaluation without failures; others are ignored.
    package func keep(_ evaluation: Evaluation, for key: Key) {
        guard evaluation.failures.isEmpty else { return }
        let bytes = Self.size(evaluation)
        let most = bytesMax / shards.count
        guard bytes <= most / 4 else { return }
        shard(key).state.withLock { $0.insert(key, evaluation, bytes, most) }
    }

    /// Memory of all entries as it is counted against `bytesMax`.
    package var bytes: Int { shards.reduce(0) { $0 + $1.state.withLock { $0.bytes } } }
    package var count: Int { shards.reduce(0) { $0 + $1.state.withLock { $0.entries.count } } }

    /// What an entry costs with its place in table and list, rounded up.
    private static func size(_ evaluation: Evaluation) -> Int {
        evaluation.matches.reduce(192) { $0 + MemoryLayout<RuleMatch>.stride + ($1.mask.map { $0.count + 32 } ?? 0)
                + ($1.explanation.map { $0.utf8.count + 32 } ?? 0)
        }
    }

    private final class Shard: Sendable {
        let state = Mutex(State())
    }

    /// A table into a list in order of use: `newest` to `oldest` by `older`, back by `newer`.
    private struct State {
        struct Entry {
            var key: Key
            var evaluation: Evaluation
            var bytes: Int
            var newer: Int
            var older: Int
        }

        var entries: [Key: Int] = [:]
        var bytes = 0
        private var slots: [Entry] = []
        private var free: [Int] = []
        private var newest = -1
        private var oldest = -1

        mutating func use(_ key: Key) -> Evaluation? {
            guard let slot = entries[key] else { return nil }
            if slot != newest {
                unlink(slot)
                link(slot)
            }
            return slots[slot].evaluation
        }

        mutating func insert(_ key: Key, _ evaluation: Evaluation, _ size: Int, _ bytesMax: Int) {
            // Two threads may have judged the same text.
            guard entries[key] == nil else { return }
            while bytes + size > bytesMax, oldest >= 0 { drop(oldest) }
            let entry = Entry(key: key, evaluation: evaluation, bytes: size, newer: -1, older: -1)
            let slot: Int
            if let reused = free.popLast() {
                slot = reused
                slots[slot] = entry
            } else {
                slot = slots.count
                slots.append(entry)
            }
            entries[key] = slot
            bytes += size
            link(slot)
        }

        private mutating func drop(_ slot: Int) {
            unlink(slot)
            entries[slots[slot].key] = nil
            bytes -= slots[slot].bytes
            slots[slot].evaluation = Evaluation()
            free.append(slot)
        }

        private mutating func link(_ slot: Int) {
            slots[slot].older = newest
            slots[slot].newer = -1
            if newest >= 0 { slots[newest].newer = slot }
            newest = slot
            if oldest < 0 { oldest = slot }
        }

        private mutating func unlink(_ slot: Int) {
            let (newer, older) = (slots[slot].newer, slots[slot].older)
            if newer >= 0 { slots[newer].older = older } else { newest = older }
            if older >= 0 { slots[older].newer = newer } else { oldest = newer }
        }
    }
}

extension RuleBundle {
    /// As `evaluate`, by the cache where that can answer: equal to it but for the time.
    func evaluate(
        _ segment: TextSegment, phase: Phase, selection: RuleSelection, cache: VerdictCache?, tenant: String?,
        tokens: (any TokenCounting)? = nil, scratch: inout EvaluationScratch
    ) -> Evaluation {
        let selected = selection.rules(for: segment.role)
        guard let cache, segment.text.count >= VerdictCache.textBytesMin, !selected.isEmpty else {
            return evaluate(segment.text.span, rules: selected, phase: phase, tokens: tokens, scratch: &scratch)
        }
        let key = cache.key(
            segment, phase: phase, bundleHash: hash, tenant: tenant, tokens: countsTokens ? tokens?.identity ?? "" : "")
        let everything = unconditional(phase: phase).rules(for: segment.role)
        if let known = cache.evaluation(key) { return restricted(known, to: selected, of: everything) }
        let evaluation = evaluate(
            segment.text.span, rules: everything, phase: phase, tokens: tokens, scratch: &scratch)
        if evaluation.failures.isEmpty {
            cache.keep(evaluation, for: key)
            return restricted(evaluation, to: selected, of: everything)
        }
        // A rule that is not selected may be the one that failed.
        return everything.count == selected.count
            ? evaluation
            : evaluate(segment.text.span, rules: selected, phase: phase, tokens: tokens, scratch: &scratch)
    }

    private func restricted(_ evaluation: Evaluation, to selected: [Int], of everything: [Int]) -> Evaluation {
        if evaluation.matches.isEmpty || everything.count == selected.count { return evaluation }
        var result = Evaluation()
        let wanted = Set(selected)
        result.matches = evaluation.matches.filter { wanted.contains($0.rule) }
        return result
    }
}
