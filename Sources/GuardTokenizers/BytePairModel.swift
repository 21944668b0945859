import GuardCore
import Synchronization

/// Byte-pair encoding: the lowest rank merges first, of equal ranks the leftmost.
///
/// Both families are this one type. Byte-level models (GPT-2, Llama-3, tiktoken) begin with single bytes; their
/// vocabulary strings have been mapped back to raw bytes by the loader. SentencePiece-style models (Gemma, Llama-2)
/// begin with characters and fall back to byte tokens; their `▁` has been mapped to the space that it stands for, so
/// that most text needs no rewriting.
final class BytePairModel: @unchecked Sendable {
    // Unchecked: all is immutable after `init` but `wholeness`, whose elements are atomics.

    struct Options: Sendable {
        /// A whole piece that is in the vocabulary is taken as it is.
        var ignoresMerges = false
        /// Symbols are characters, not bytes.
        var startsWithCharacters = false
        /// Id of each byte's token for characters that are not in the vocabulary; `nil` without byte fallback.
        var byteFallback: [UInt32?]?
        var unknown: UInt32?
        /// Adjacent unknown characters are one token.
        var fusesUnknown = false
        /// Ids at or above it are characters that only exist inside of longer pieces (SentencePiece): they take part in
        /// merges, but left alone they are unknown.
        var firstVirtualID = UInt32.max
        var affixes: Affixes?
    }

    let vocabulary: Vocabulary
    let options: Options
    private let merges: MergeTable
    /// Symbol of each byte (of each ASCII character in models of characters), or `absent`.
    private let symbolOfByte: UnsafeMutablePointer<UInt32>
    /// Priority of the merge of two bytes, `first * 256 + second`, in models of all bytes: every merging begins with
    /// these, and this table stays in the cache where the table of all merges does not.
    private let priorityOfBytes: UnsafeMutablePointer<UInt32>?
    /// Bit `last byte * 256 + first byte` is set if some merge joins two tokens that end and begin so. Between other
    /// bytes a piece can be cut before merging without changing the result, because no token ever spans the cut.
    /// `nil` where cutting is not safe or not useful.
    private let joints: UnsafeMutablePointer<UInt64>?
    /// What is known of each token: 0 nothing, 1 its bytes encode to itself alone, 2 they do not. Filled on demand:
    /// a whole piece with 1 skips merging, and asking all tokens at load would cost more than most processes need.
    private let wholeness: UnsafeMutablePointer<Atomic<UInt8>>

    /// Where `symbolOfByte`, `joints` and `wholeness` lie, if not in memory of their own.
    private let image: ImageMemory?

    private static let absent = UInt32.max
    /// Pieces of up to so many symbols merge by scanning an array, longer ones on a heap.
    static let scanMax = 48

    init(
        vocabulary: Vocabulary, merges: [MergeTable.Merge], results: [UInt32], priorities: [UInt32]? = nil,
        options: Options
    ) throws(TokenizerError) {
        image = nil
        self.vocabulary = vocabulary
        self.options = options
        self.merges = try MergeTable(merges: merges, results: results, priorities: priorities)
        symbolOfByte = .allocate(capacity: 256)
        wholeness = .allocate(capacity: max(vocabulary.count, 1))
        var hasAllBytes = true
        for byte in 0..<256 {
            let isSymbol = byte < 0x80 || !options.startsWithCharacters
            let id = isSymbol ? vocabulary.id([UInt8(byte)]) : nil
            if id == nil { hasAllBytes = false }
            (symbolOfByte + byte).initialize(to: id ?? Self.absent)
        }
        for id in 0..<vocabulary.count { (wholeness + id).initialize(to: Atomic(0)) }
        joints = Self.joints(vocabulary, merges, options)
        priorityOfBytes =
            options.startsWithCharacters || !hasAllBytes ? nil : Self.priorityOfBytes(self.merges, symbolOfByte)
    }

    /// The tables of an image, where they lie.
    init(_ image: ImageMemory, options: Options) throws(TokenizerError) {
        self.image = image
        self.options = options
        vocabulary = try Vocabulary(image)
        merges = try MergeTable(image, idsCount: vocabulary.count)
        let symbols = try image.elements(.symbolOfByte, of: UInt32.self)
        let joints = try image.elements(.joints, of: UInt64.self)
        // An `Atomic<UInt8>` is stored as the `UInt8` itself (`@_rawLayout`); any value is safe here.
        let wholeness = try image.elements(.wholeness, of: UInt8.self)
        guard symbols.count == 256, joints.isEmpty || joints.count == 1024, wholeness.count == vocabulary.count,
            let symbolsBase = symbols.baseAddress, let wholenessBase = wholeness.baseAddress,
            symbols.allSatisfy({ $0 == Self.absent || Int($0) < wholeness.count })
        else { throw image.malformed("tables of the model") }
        symbolOfByte = symbolsBase
        self.wholeness = UnsafeMutableRawPointer(wholenessBase).assumingMemoryBound(to: Atomic<UInt8>.self)
        self.joints = joints.isEmpty ? nil : joints.baseAddress
        // Made here, not stored: a priority without a merge would lead outside of the results.
        priorityOfBytes =
            options.startsWithCharacters || symbols.contains(Self.absent)
            ? nil : Self.priorityOfBytes(merges, symbolsBase)
    }

    /// Everything that is costly to find out at start, `wholeness` of all tokens among it.
    func writeSections(_ write: (ImageMemory.Section, UnsafeRawBufferPointer) -> Void) {
        vocabulary.writeSections(write)
        merges.writeSections(write)
        write(.symbolOfByte, UnsafeRawBufferPointer(start: symbolOfByte, count: 256 * 4))
        if let joints { write(.joints, UnsafeRawBufferPointer(start: joints, count: 1024 * 8)) }
        let scratch = Scratch()
        var known = [UInt8](repeating: 0, count: vocabulary.count)
        for id in 0..<vocabulary.count {
            let token = vocabulary.bytes(UInt32(truncatingIfNeeded: id))
            guard !options.ignoresMerges, let text = token.baseAddress, !token.isEmpty else { continue }
            var ids = CountSink()
            encodeAnew(text, 0, token.count, scratch, &ids)
            known[id] = wholeness[id].load(ordering: .relaxed)
        }
        known.withUnsafeBytes { write(.wholeness, $0) }
    }

    private static func priorityOfBytes(
        _ merges: MergeTable, _ symbolOfByte: UnsafeMutablePointer<UInt32>
    ) -> UnsafeMutablePointer<UInt32> {
        let table = UnsafeMutablePointer<UInt32>.allocate(capacity: 65536)
        table.initialize(repeating: MergeTable.none, count: 65536)
        for first in 0..<256 {
            for second in 0..<256 {
                table[first << 8 | second] = merges.priority(symbolOfByte[first], symbolOfByte[second])
            }
        }
        return table
    }

    deinit {
        priorityOfBytes?.deallocate()
        guard image == nil else { return }
        symbolOfByte.deallocate()
        joints?.deallocate()
        wholeness.deinitialize(count: vocabulary.count)
        wholeness.deallocate()
    }

    private static func joints(
        _ vocabulary: Vocabulary, _ merges: [MergeTable.Merge], _ options: Options
    ) -> UnsafeMutablePointer<UInt64>? {
        guard options.startsWithCharacters, options.affixes == nil else { return nil }
        let fallback = Set((options.byteFallback ?? []).compactMap { $0 })
        // A byte without token (Gemma has no `<0x09>`) does no harm where its character is in the vocabulary.
        let isFallbackComplete =
            options.byteFallback?.enumerated().allSatisfy { byte, id in
                id != nil || byte < 0x80 && vocabulary.id([UInt8(byte)]) != nil
            } ?? false
        // Unknown characters on both sides of a cut would have been one token.
        if options.unknown != nil && options.fusesUnknown && !isFallbackComplete { return nil }
        let bits = UnsafeMutablePointer<UInt64>.allocate(capacity: 1024)
        bits.initialize(repeating: 0, count: 1024)
        for merge in merges {
            let left = vocabulary.bytes(merge.left)
            let right = vocabulary.bytes(merge.right)
            // A byte token's or the unknown token's text is not the text that it stands for.
            let isOpaque =
                fallback.contains(merge.left) || fallback.contains(merge.right) || merge.left == options.unknown
                || merge.right == options.unknown
            guard let last = left.last, let first = right.first, !isOpaque else {
                bits.deallocate()
                return nil
            }
            let joint = Int(last) << 8 | Int(first)
            bits[joint >> 6] |= 1 << UInt64(joint & 63)
        }
        return bits
    }

    // MARK: Encoding

    /// Encodes a stretch of text that a scanner cuts into pieces.
    @inline(__always)
    func encode<Sink: TokenSink>(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ scanner: PieceScanner, _ scratch: Scratch,
        _ sink: inout Sink
    ) {
        let classes = UnicodeClasses.shared
        let raw = UnsafeRawPointer(text)
        encodeAll(text, start, end, scratch, &sink) { at in
            if end &- at >= 16 {
                let low = raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                let high = raw.loadUnaligned(fromByteOffset: at &+ 8, as: UInt64.self)
                let length = scanner.asciiWord(low, high, classes)
                if length > 0 { return at &+ length }
            }
            return scanner.next(text, at, end, classes)
        }
    }

    /// Encodes one piece.
    @inline(__always)
    func encode<Sink: TokenSink>(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ scratch: Scratch, _ sink: inout Sink
    ) {
        guard let joints, !options.ignoresMerges else {
            return encodeAll(text, start, end, scratch, &sink) { _ in end }
        }
        encodeAll(text, start, end, scratch, &sink) { from in
            var at = from &+ 1
            while at < end {
                let joint = Int(text[at &- 1]) &<< 8 | Int(text[at])
                // Continuation bytes are never a cut.
                if text[at] & 0xC0 != 0x80 && joints[joint &>> 6] & 1 &<< UInt64(joint & 63) == 0 { break }
                at &+= 1
            }
            return at
        }
    }

    /// Encodes pieces in batches: first the ends of some pieces, then a touch of the cache entry of each, then the
    /// ids. So the waiting for memory overlaps; one piece after the other would wait for each.
    /// - Parameter next: end of the piece that begins at a place; above it, at most `end`.
    @inline(__always)
    private func encodeAll<Sink: TokenSink>(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ scratch: Scratch, _ sink: inout Sink,
        next: (Int) -> Int
    ) {
        var at = start
        guard let cache = scratch.cache else {
            while at < end {
                let to = next(at)
                encodeAnew(text, at, to, scratch, &sink)
                at = to
            }
            return
        }
        let batch = scratch.batch
        while at < end {
            var count = 0
            var from = at
            while count < Scratch.batchMax && from < end {
                let to = next(from)
                let length = to &- from
                if length <= PieceKey.lengthMax {
                    let key = PieceKey(text + from, length, end &- from)
                    batch[count] = Scratch.Piece(key: key, hash: key.hash, end: to)
                } else {
                    batch[count] = Scratch.Piece(key: PieceKey.none, hash: 0, end: to)
                }
                count &+= 1
                from = to
            }
            for index in 0..<count { batch[index].touched = cache.touch(batch[index].hash) }
            for index in 0..<count {
                let piece = batch[index]
                if piece.key.high != 0, let ids = cache.find(piece.key, piece.hash) {
                    sink.append(ids)
                } else {
                    encodeLong(text, at, piece.end, scratch, &sink)
                }
                at = piece.end
            }
        }
    }

    /// A piece that is long, or has many ids, or is new.
    @inline(never)
    private func encodeLong<Sink: TokenSink>(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ scratch: Scratch, _ sink: inout Sink
    ) {
        let length = end - start
        guard let cache = scratch.cache, length <= PieceCache.longLengthMax, length > 0 else {
            return encodeAnew(text, start, end, scratch, &sink)
        }
        let longHash = PieceCache.View.hash(text + start, length)
        if let ids = cache.findLong(text + start, length, longHash) {
            for id in ids { sink.append(id) }
            return
        }
        var ids = PieceSink(ids: scratch.pieceIDs, capacity: PieceCache.longLengthMax)
        encodeAnew(text, start, end, scratch, &ids)
        let count = min(ids.count, PieceCache.longLengthMax)
        if length <= PieceKey.lengthMax && count > 0 && count <= PackedIDs.countMax {
            let key = PieceKey(text + start, length, length)
            cache.insert(key, key.hash, PackedIDs(scratch.pieceIDs, count))
        } else {
            cache.insertLong(text + start, length, longHash, scratch.pieceIDs, count)
        }
        for index in 0..<count { sink.append(scratch.pieceIDs[index]) }
    }

    /// Without the cache.
    private func encodeAnew<Sink: TokenSink>(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ scratch: Scratch, _ sink: inout Sink
    ) {
        let id = vocabulary.id(text + start, count: end - start)
        guard let id else { return merge(text, start, end, scratch, &sink) }
        let known = options.ignoresMerges ? 1 : wholeness[Int(id)].load(ordering: .relaxed)
        if known == 1 {
            sink.append(id)
        } else if known == 2 {
            merge(text, start, end, scratch, &sink)
        } else {
            var ids = IDSink()
            merge(text, start, end, scratch, &ids)
            let isWhole = ids.ids.count == 1 && ids.ids[0].value == id
            // An image knows it of all its tokens, and its memory cannot be written.
            if image == nil { wholeness[Int(id)].store(isWhole ? 1 : 2, ordering: .relaxed) }
            for id in ids.ids { sink.append(id.value) }
        }
    }

    private func merge<Sink: TokenSink>(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ scratch: Scratch, _ sink: inout Sink
    ) {
        scratch.reserve(end - start)
        let count =
            options.affixes.map { affixedSymbols(text, start, end, $0, scratch) } ?? (options.startsWithCharacters
            ? characterSymbols(text, start, end, scratch) : byteSymbols(text, start, end, scratch))
        var isLastUnknown = false
        if count <= Self.scanMax {
            if let priorityOfBytes, options.affixes == nil {
                for index in 0..<max(count - 1, 0) {
                    let pair = Int(text[start + index]) << 8 | Int(text[start + index + 1])
                    scratch.ranks[index] = priorityOfBytes[pair]
                }
            } else {
                for index in 0..<max(count - 1, 0) {
                    scratch.ranks[index] = merges.priority(scratch.symbols[index], scratch.symbols[index + 1])
                }
            }
            let merged = mergeByScan(count, scratch)
            for index in 0..<merged { emit(scratch.symbols[index], &isLastUnknown, &sink) }
        } else {
            mergeOnHeap(count, scratch)
            var at = 0
            while at < count {
                emit(scratch.symbols[at], &isLastUnknown, &sink)
                at = scratch.next[at]
            }
        }
    }

    @inline(__always)
    private func emit<Sink: TokenSink>(_ symbol: UInt32, _ isLastUnknown: inout Bool, _ sink: inout Sink) {
        if options.firstVirtualID == .max || symbol < options.firstVirtualID && symbol != options.unknown {
            isLastUnknown = false
            sink.append(symbol)
        } else {
            emitUnknown(symbol, &isLastUnknown, &sink)
        }
    }

    /// The unknown token, or a character that did not merge and is no piece of its own.
    private func emitUnknown<Sink: TokenSink>(_ symbol: UInt32, _ isLastUnknown: inout Bool, _ sink: inout Sink) {
        let bytes = vocabulary.bytes(symbol)
        if symbol != options.unknown, let fallback = options.byteFallback,
            bytes.allSatisfy({ fallback[Int($0)] != nil })
        {
            for byte in bytes { if let id = fallback[Int(byte)] { sink.append(id) } }
            isLastUnknown = false
        } else if let unknown = options.unknown {
            if !(isLastUnknown && options.fusesUnknown) { sink.append(unknown) }
            isLastUnknown = true
        }
    }

    private func byteSymbols(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ scratch: Scratch) -> Int {
        var count = 0
        var isLastUnknown = false
        for at in start..<end {
            let symbol = symbolOfByte[Int(text[at])]
            if symbol != Self.absent {
                scratch.symbols[count] = symbol
                count += 1
                isLastUnknown = false
            } else if let unknown = options.unknown {
                if isLastUnknown && options.fusesUnknown { continue }
                scratch.symbols[count] = unknown
                count += 1
                isLastUnknown = true
            }
        }
        return count
    }

    private func characterSymbols(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ scratch: Scratch) -> Int {
        var count = 0
        var isLastUnknown = false
        var at = start
        while at < end {
            let length = UnicodeClasses.length(text, at, end)
            defer { at += length }
            let symbol: UInt32
            if length == 1 {
                symbol = symbolOfByte[Int(text[at])]
            } else {
                symbol = vocabulary.id(text + at, count: length) ?? Self.absent
            }
            if symbol != Self.absent {
                scratch.symbols[count] = symbol
                count += 1
                isLastUnknown = false
                continue
            }
            if let fallback = options.byteFallback {
                var known = 0
                while known < length, let id = fallback[Int(text[at + known])] {
                    scratch.symbols[count + known] = id
                    known += 1
                }
                if known == length {
                    count += length
                    isLastUnknown = false
                    continue
                }
            }
            guard let unknown = options.unknown, !(isLastUnknown && options.fusesUnknown) else { continue }
            scratch.symbols[count] = unknown
            count += 1
            isLastUnknown = true
        }
        return count
    }

    // MARK: Merging

    /// Merges `scratch.symbols`, whose pairs' priorities are in `scratch.ranks`.
    /// - Returns: number of symbols left, at the front of `scratch.symbols`.
    private func mergeByScan(_ count: Int, _ scratch: Scratch) -> Int {
        let symbols = scratch.symbols
        let ranks = scratch.ranks
        var count = count
        guard count > 1 else { return count }
        while true {
            var best = 0
            var bestRank = MergeTable.none
            for index in 0..<count - 1 where ranks[index] < bestRank {
                bestRank = ranks[index]
                best = index
            }
            scratch.work &+= count
            if bestRank == MergeTable.none { return count }
            symbols[best] = merges.result(bestRank, symbols[best], symbols[best + 1])
            count -= 1
            var index = best + 1
            while index < count {
                symbols[index] = symbols[index + 1]
                ranks[index - 1] = ranks[index]
                index += 1
            }
            if count == 1 { return 1 }
            if best < count - 1 { ranks[best] = merges.priority(symbols[best], symbols[best + 1]) }
            if best > 0 { ranks[best - 1] = merges.priority(symbols[best - 1], symbols[best]) }
        }
    }

    /// Leaves the symbols in `scratch.symbols`, linked by `scratch.next` from index 0. O(n log n) for any input.
    private func mergeOnHeap(_ count: Int, _ scratch: Scratch) {
        let symbols = scratch.symbols
        let ranks = scratch.ranks
        scratch.next.removeAll(keepingCapacity: true)
        scratch.previous.removeAll(keepingCapacity: true)
        scratch.heap.removeAll(keepingCapacity: true)
        for index in 0..<count {
            scratch.next.append(index + 1)
            scratch.previous.append(index - 1)
            ranks[index] = MergeTable.none
        }
        // An entry is `rank << 40 | index of its left symbol`, so the smallest is the lowest rank, leftmost. The
        // symbol may have merged meanwhile: `ranks` says whether the entry still holds.
        var heap = MinHeap(scratch.heap)
        scratch.heap = []
        scratch.next.withUnsafeMutableBufferPointer { next in
            scratch.previous.withUnsafeMutableBufferPointer { previous in
                for index in 0..<count - 1 {
                    let rank = merges.priority(symbols[index], symbols[index + 1])
                    ranks[index] = rank
                    if rank != MergeTable.none { heap.append(UInt64(rank) << 40 | UInt64(index)) }
                }
                heap.build()
                while let entry = heap.pop() {
                    let left = Int(truncatingIfNeeded: entry & 0xFF_FFFF_FFFF)
                    let rank = UInt32(truncatingIfNeeded: entry >> 40)
                    guard ranks[left] == rank else { continue }
                    let right = next[left]
                    symbols[left] = merges.result(rank, symbols[left], symbols[right])
                    ranks[right] = MergeTable.none
                    next[left] = next[right]
                    if next[left] < count {
                        previous[next[left]] = left
                        let rank = merges.priority(symbols[left], symbols[next[left]])
                        ranks[left] = rank
                        if rank != MergeTable.none { heap.push(UInt64(rank) << 40 | UInt64(left)) }
                    } else {
                        ranks[left] = MergeTable.none
                    }
                    let before = previous[left]
                    if before >= 0 {
                        let rank = merges.priority(symbols[before], symbols[left])
                        ranks[before] = rank
                        if rank != MergeTable.none { heap.push(UInt64(rank) << 40 | UInt64(before)) }
                    }
                }
            }
        }
        scratch.work &+= heap.work
        scratch.heap = heap.entries
    }
}
