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
    }

    let vocabulary: Vocabulary
    let options: Options
    let merges: MergeTable
    /// Symbol of each byte (of each ASCII character in models of characters), or `absent`.
    let symbolOfByte: UnsafeMutablePointer<UInt32>
    /// Priority of the merge of two bytes, `first * 256 + second`, in models of all bytes: every merging begins with
    /// these, and this table stays in the cache where the table of all merges does not.
    let priorityOfBytes: UnsafeMutablePointer<UInt32>?
    /// Bit `last byte * 256 + first byte` is set if some merge joins two tokens that end and begin so. Between other
    /// bytes a piece can be cut before merging without changing the result, because no token ever spans the cut.
    /// `nil` where cutting is not safe or not useful.
    private let joints: UnsafeMutablePointer<UInt64>?
    /// What is known of each token: 0 nothing, 1 its bytes encode to itself alone, 2 they do not. Filled on demand:
    /// a whole piece with 1 skips merging, and asking all tokens at load would cost more than most processes need.
    private let wholeness: UnsafeMutablePointer<Atomic<UInt8>>

    /// Where `symbolOfByte`, `joints` and `wholeness` lie, if not in memory of their own.
    private let image: ImageMemory?

    static let absent = UInt32.max
    /// Pieces of up to so many symbols merge by scanning an array, longer ones on a heap. A multiple of 8, and indexes
    /// have seven bits in the keys of pairs.
    static let scanMax = 128

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
        guard options.startsWithCharacters else { return nil }
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
        guard scratch.cache != nil else {
            var at = start
            while at < end {
                let to = scanner.next(text, at, end, .shared)
                encodeAnew(text, at, to, scratch, &sink)
                at = to
            }
            return
        }
        // Written out for each family, so that what does not concern it is gone from the loop.
        switch scanner.family {
        case .cl100k: encodeBlocks(text, start, end, scanner, isCased: false, scratch, &sink)
        case .cased: encodeBlocks(text, start, end, scanner, isCased: true, scratch, &sink)
        case .gpt2:
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
    }

    /// Encodes pieces that are found in blocks of text.
    @inline(__always)
    private func encodeBlocks<Sink: TokenSink>(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ scanner: PieceScanner, isCased: Bool,
        _ scratch: Scratch, _ sink: inout Sink
    ) {
        guard let cache = scratch.cache else { return }
        let classes = UnicodeClasses.shared
        let batch = scratch.batch
        let padded = scratch.padded
        var at = start
        while at < end {
            var count = 0
            var from = at
            while count <= Scratch.batchMax &- PieceScanner.blockBytes && from < end {
                var ends = scanner.boundaries(text, from, end, isCased: isCased, classes, padded)
                if ends == 0 {
                    let to = scanner.next(text, from, end, classes)
                    Self.prepare(batch + count, text, from, to, end, cache)
                    count &+= 1
                    from = to
                    continue
                }
                let base = from
                while ends != 0 {
                    let to = base &+ ends.trailingZeroBitCount
                    ends &= ends &- 1
                    Self.prepare(batch + count, text, from, to, end, cache)
                    count &+= 1
                    from = to
                }
            }
            resolve(text, at, count, cache, scratch, &sink)
            at = from
        }
    }

    /// Notes a piece and asks for the memory where the cache has it.
    @inline(__always)
    private static func prepare(
        _ piece: UnsafeMutablePointer<Scratch.Piece>, _ text: UnsafePointer<UInt8>, _ from: Int, _ to: Int, _ end: Int,
        _ cache: PieceCache.View
    ) {
        let length = to &- from
        if length <= PieceKey.lengthMax {
            let key = PieceKey(text + from, length, end &- from)
            let hash = key.hash
            piece.pointee = Scratch.Piece(key: key, hash: hash, end: to)
            cache.prefetch(hash)
        } else {
            piece.pointee = Scratch.Piece(key: PieceKey.none, hash: 0, end: to)
        }
    }

    @inline(__always)
    private func resolve<Sink: TokenSink>(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ count: Int, _ cache: PieceCache.View, _ scratch: Scratch,
        _ sink: inout Sink
    ) {
        let batch = scratch.batch
        var at = start
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
        while at < end {
            var count = 0
            var from = at
            while count < Scratch.batchMax && from < end {
                let to = next(from)
                Self.prepare(scratch.batch + count, text, from, to, end, cache)
                count &+= 1
                from = to
            }
            resolve(text, at, count, cache, scratch, &sink)
            at = from
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
        if length > PieceKey.lengthMax, let ids = cache.findLong(text + start, length) {
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
            cache.insertLong(text + start, length, scratch.pieceIDs, count)
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
}
