/// How a piece becomes ids where neither the cache nor the vocabulary has it as a whole.
extension BytePairModel {
    /// Encodes by merging alone.
    func merge<Sink: TokenSink>(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ scratch: Scratch, _ sink: inout Sink
    ) {
        scratch.reserve(end - start)
        let count =
            options.startsWithCharacters
            ? characterSymbols(text, start, end, scratch) : byteSymbols(text, start, end, scratch)
        var isLastUnknown = false
        if count <= 1 {
            if count == 1 { emit(scratch.symbols[0], &isLastUnknown, &sink) }
            return
        }
        if count > Self.scanMax {
            mergeOnHeap(count, scratch)
        } else {
            if let priorityOfBytes {
                for index in 0..<count &- 1 {
                    let pair = Int(text[start &+ index]) &<< 8 | Int(text[start &+ index &+ 1])
                    let priority = priorityOfBytes[pair]
                    if priority == MergeTable.none {
                        scratch.keys[index] = Scratch.noKey
                    } else {
                        scratch.keys[index] = Self.key(priority, index)
                        scratch.merged[index] =
                            merges.result(priority, scratch.symbols[index], scratch.symbols[index &+ 1])
                    }
                }
            } else {
                for index in 0..<count &- 1 {
                    scratch.keys[index] =
                        lookUp(scratch.symbols[index], scratch.symbols[index &+ 1], index, scratch.merged)
                }
            }
            mergeByScan(count, scratch)
        }
        var at = 0
        while at < count {
            emit(scratch.symbols[at], &isLastUnknown, &sink)
            at = scratch.next[at]
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

    /// Merges the symbols of a short piece and leaves them linked by `scratch.next` from index 0.
    ///
    /// The pairs' keys (`priority << 7 | index`) lie side by side, so the lowest is the pair to merge, the leftmost of
    /// equal ones, and is found without a branch for each. While the two new pairs are looked up, which is waiting for
    /// memory mostly, the minimum of the other keys is taken.
    /// - Precondition: `1 < count <= scanMax`, and `scratch.keys` and `scratch.merged` have what is known of each pair.
    private func mergeByScan(_ count: Int, _ scratch: Scratch) {
        let symbols = scratch.symbols
        let keys = scratch.keys
        let merged = scratch.merged
        let next = scratch.next
        let previous = scratch.previous
        let lanes = (count &+ 7) & ~7
        for index in count &- 1..<lanes { keys[index] = Scratch.noKey }
        for index in 0..<count {
            next[index] = index &+ 1
            previous[index] = index &- 1
        }
        var best = Self.lowest(keys, lanes)
        // Eight keys are compared at once.
        var work = lanes / 8
        while best != Scratch.noKey {
            let left = Int(best & 127)
            let right = next[left]
            let behind = next[right]
            let before = previous[left]
            let symbol = merged[left]
            symbols[left] = symbol
            next[left] = behind
            keys[left] = Scratch.noKey
            keys[right] = Scratch.noKey
            var key = Scratch.noKey
            var keyBefore = Scratch.noKey
            if before >= 0 { keys[before] = Scratch.noKey }
            if behind < count {
                previous[behind] = left
                key = lookUp(symbol, symbols[behind], left, merged)
            }
            if before >= 0 { keyBefore = lookUp(symbols[before], symbol, before, merged) }
            best = min(Self.lowest(keys, lanes), key, keyBefore)
            keys[left] = key
            if before >= 0 { keys[before] = keyBefore }
            work &+= lanes / 8
        }
        scratch.work &+= work
    }

    /// Key of the pair at `index`, and what it merges into.
    @inline(__always)
    private func lookUp(_ left: UInt32, _ right: UInt32, _ index: Int, _ merged: UnsafeMutablePointer<UInt32>) -> Int32
    {
        let rank = merges.rank(left, right)
        if rank == MergeTable.none { return Scratch.noKey }
        merged[index] = merges.result(ofRank: rank)
        return Self.key(merges.priority(ofRank: rank), index)
    }

    /// Ranks have 22 bits, so keys are positive.
    @inline(__always)
    private static func key(_ priority: UInt32, _ index: Int) -> Int32 {
        Int32(truncatingIfNeeded: priority &<< 7) | Int32(truncatingIfNeeded: index)
    }

    @inline(__always)
    private static func lowest(_ keys: UnsafeMutablePointer<Int32>, _ lanes: Int) -> Int32 {
        let raw = UnsafeRawPointer(keys)
        var lowest = raw.loadUnaligned(as: SIMD8<Int32>.self)
        var at = 8
        while at < lanes {
            lowest = pointwiseMin(lowest, raw.loadUnaligned(fromByteOffset: at &* 4, as: SIMD8<Int32>.self))
            at &+= 8
        }
        return lowest.min()
    }

    /// Leaves the symbols in `scratch.symbols`, linked by `scratch.next` from index 0. O(n log n) for any input.
    private func mergeOnHeap(_ count: Int, _ scratch: Scratch) {
        let symbols = scratch.symbols
        let ranks = scratch.ranks
        let next = scratch.next
        let previous = scratch.previous
        // An entry is `rank << 40 | index of its left symbol`, so the smallest is the lowest rank, leftmost. The
        // symbol may have merged meanwhile: `ranks` says whether the entry still holds.
        var heap = MinHeap(scratch.heap(symbols: count))
        for index in 0..<count {
            next[index] = index &+ 1
            previous[index] = index &- 1
            ranks[index] = MergeTable.none
        }
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
            let behind = next[right]
            symbols[left] = merges.result(rank, symbols[left], symbols[right])
            ranks[right] = MergeTable.none
            next[left] = behind
            if behind < count {
                previous[behind] = left
                let rank = merges.priority(symbols[left], symbols[behind])
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
        scratch.work &+= heap.work
    }
}
