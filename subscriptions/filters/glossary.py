"""English for Chinese words: what a filter's Chinese word also means, and what a Chinese sentence is about.

The words stand in glossary.tsv beside this file, read at the first question. Traditional characters are
folded into simplified ones. Pure Python, no Django.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from string import ascii_uppercase
from typing import NamedTuple

from subscriptions.filters import normal

_FILE = Path(__file__).with_name("glossary.tsv")
_TRADITIONAL = """
    萬與專業東丟兩個豐臨爲為舉麼義樂習書亂爭於雲亞產親億僅從倉們價衆眾優會偉傳倫僞偽體餘側債儲殭兒關興俱
    茲養內寫軍農衝沖決況凍準減湊幾擊劃則剛創刪別製劑劍劇辦務動勵勞勢區醫華協單賣佔衛衞廠歷壓廚參雙發髮變
    敘敍疊颱臺葉號後聽啓啟員週諮響喚噴迴團園圍國圖圓場塊壇聲處備複復夠頭獎奧妝嬰學孿寶實審憲宮傢寬對尋導
    壽將爾塵屍儘侷層屬嶼島峯幣佈師帶幀幫幹乾併並廣牀庫應廢開異棄張絃彈強歸當錄徵徑禦憶誌懷態總恆惡懲慣願
    戲戰戶撲託執擴掃擾摺拋摳搶護報擬擁擇擋損換據攜攝斂數斷無時曠顯術機殺雜權條來鬆極構標欄樹樣覈檔橋樑檢
    橢樓歐殘氣氫彙匯漢汙湯溝沒洩註潑潔淺測濟瀏塗湧渦漲漸漁滲溫遊灣潰濺滯滿濾濱潛瀕燈靈災點鍊菸煙燒熱愛狀
    獨獄豬貓獻環現電畫疇療瘧癇癡癮癲監蓋盤礦碼礎確礙禮離種積稱穩竊窺競築篩籌籤簽簡類糧係緊糾紅纖約級紀納
    縱紋紐線練組細織終繹經綁結繪給絡絕統繼緒續繩維綜綠綴緩編緣纏縮繆網羅罰羣職聯腸膚腎腫脹脅膠脈臟腦腳脫
    臉騰輿艦艙藝節蘇蘋範繭薦藥獲營蘊藴慮虛蟲蝕蟻螞蠅補襲裝見觀規視覽覺觸計訂認討讓訓議訊記許論諷設訪證評
    識詐診詞譯試詩誠話詢該語誤說説諾讀課誰調諂談諧諤謎謝謠譜貝負財責敗貨質貪貧購貴貸貿費資賴賽趨躍蹤車軌
    轉輪軟軸輕載較輔輛輻輯輸辯邊達遷過運還這進遠連遲跡適選遜遞邏遺遙郵鄰鬱採釋裏裡鑑針釣鈣鈦鐘鋼鑰錢鐵鉸
    銀鏈銷鋰銳鋭錯錐鍵鍛鏡長門閃閉問間聞閱閲隊陽陰陣階際陸險隨隱難霧靜韓韻頁項順頓預領頸頻穎顆題額風飛飪
    飲館饋餾馬驅駛駝駕驗騙驟魚魯鳥鳴鴻鵬麥齊齒齡龍
"""
_SIMPLIFIED = """
    万与专业东丢两个丰临为为举么义乐习书乱争于云亚产亲亿仅从仓们价众众优会伟传伦伪伪体余侧债储僵儿关兴具
    兹养内写军农冲冲决况冻准减凑几击划则刚创删别制剂剑剧办务动励劳势区医华协单卖占卫卫厂历压厨参双发发变
    叙叙叠台台叶号后听启启员周咨响唤喷回团园围国图圆场块坛声处备复复够头奖奥妆婴学孪宝实审宪宫家宽对寻导
    寿将尔尘尸尽局层属屿岛峰币布师带帧帮干干并并广床库应废开异弃张弦弹强归当录征径御忆志怀态总恒恶惩惯愿
    戏战户扑托执扩扫扰折抛抠抢护报拟拥择挡损换据携摄敛数断无时旷显术机杀杂权条来松极构标栏树样核档桥梁检
    椭楼欧残气氢汇汇汉污汤沟没泄注泼洁浅测济浏涂涌涡涨渐渔渗温游湾溃溅滞满滤滨潜濒灯灵灾点炼烟烟烧热爱状
    独狱猪猫献环现电画畴疗疟痫痴瘾癫监盖盘矿码础确碍礼离种积称稳窃窥竞筑筛筹签签简类粮系紧纠红纤约级纪纳
    纵纹纽线练组细织终绎经绑结绘给络绝统继绪续绳维综绿缀缓编缘缠缩缪网罗罚群职联肠肤肾肿胀胁胶脉脏脑脚脱
    脸腾舆舰舱艺节苏苹范茧荐药获营蕴蕴虑虚虫蚀蚁蚂蝇补袭装见观规视览觉触计订认讨让训议讯记许论讽设访证评
    识诈诊词译试诗诚话询该语误说说诺读课谁调谄谈谐谔谜谢谣谱贝负财责败货质贪贫购贵贷贸费资赖赛趋跃踪车轨
    转轮软轴轻载较辅辆辐辑输辩边达迁过运还这进远连迟迹适选逊递逻遗遥邮邻郁采释里里鉴针钓钙钛钟钢钥钱铁铰
    银链销锂锐锐错锥键锻镜长门闪闭问间闻阅阅队阳阴阵阶际陆险随隐难雾静韩韵页项顺顿预领颈频颖颗题额风飞饪
    饮馆馈馏马驱驶驼驾验骗骤鱼鲁鸟鸣鸿鹏麦齐齿龄龙
"""
_TO_KEY: dict[int, str | int] = {
    **str.maketrans("".join(_TRADITIONAL.split()), "".join(_SIMPLIFIED.split())),
    **{ord(letter): letter.lower() for letter in ascii_uppercase},
}
# Words in Latin script, together while only one sign stands between them: GPT-4, vision language model.
_LATIN_WORD = r"[^\W\u2e80-\U0003ffff]"
_LATIN = re.compile(rf"{_LATIN_WORD}+(?:[ ./'+-]{_LATIN_WORD}+)*[+#]*")


class Entry(NamedTuple):
    """`english`: the most usual term first. `is_general`: too common a word to filter by."""

    english: tuple[str, ...]
    is_general: bool


class _Glossary(NamedTuple):
    lines: Mapping[str, str]  # term → what stands behind it in the file
    longest: int  # term, in characters


@cache
def _glossary() -> _Glossary:
    text = _FILE.read_text(encoding="utf-8")
    lines = dict(line.split("\t", 1) for line in text.splitlines() if line and line[0] != "#")
    return _Glossary(lines, max(map(len, lines)))


def entries() -> Iterator[tuple[str, Entry]]:
    """The whole glossary, in the order of the file."""
    for term, line in _glossary().lines.items():
        yield term, _read(line)


def _read(line: str) -> Entry:
    english, _, sign = line.partition("\t")
    return Entry(tuple(english.split(";")) if english else (), is_general=bool(sign))


def _key(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(_TO_KEY)


def entry(word: str) -> Entry | None:
    """What the glossary says about exactly this word, blanks apart; None if it is not in it."""
    if word.isascii():
        return None
    line = _glossary().lines.get("".join(_key(word).split()))
    return None if line is None else _read(line)


@lru_cache(maxsize=4096)
def meaning(word: str) -> tuple[str, ...]:
    """The English terms that a filter's word or phrase also means: 后训练 → ("post-training",).

    Only where the whole of it is in the glossary, and not as one of the words too common to filter by.
    """
    found = entry(word)
    return () if found is None or found.is_general else found.english


def translate(text: str) -> list[str]:
    """The English phrases of a Chinese sentence, in its order, each once; its Latin words as they stand.

    用于机器人规划的世界模型 → ["robot planning", "world model"]. Words of several meanings give all of
    them, the most usual first. The sentence is cut so that the fewest characters are left over, then into the
    fewest terms, then with the longer term first. What the glossary does not know is passed over.
    """
    phrases: dict[str, str] = {}
    for meanings in word_by_word(text):
        for phrase in meanings:
            phrases.setdefault(phrase.casefold(), phrase)
    return list(phrases.values())


def word_by_word(text: str) -> list[tuple[str, ...]]:
    """As `translate`, with the meanings of each term of the sentence together."""
    plain = unicodedata.normalize("NFKC", text)
    folded = plain.translate(_TO_KEY)
    latin = {match.start(): match.end() for match in _LATIN.finditer(folded)}
    words = []
    for start, end in _cut(folded, latin):
        line = _glossary().lines.get(folded[start:end])
        if line is not None:
            words.append(_read(line).english)
        elif latin.get(start) == end:
            words.append((plain[start:end],))
    return [meanings for meanings in words if meanings]


def _cut(text: str, latin: Mapping[int, int]) -> list[tuple[int, int]]:
    """The pieces of `text` as (start, end), without gaps; a piece that is no term is one character."""
    terms, longest = _glossary()
    inside = {at for start, end in latin.items() for at in range(start + 1, end)}
    # From each place on: characters left over and pieces of the best cut, and where its first piece ends.
    best = [(0, 0)] * (len(text) + 1)
    ends = [0] * len(text)
    for start in range(len(text) - 1, -1, -1):
        over, pieces = best[start + 1]
        best[start] = over + normal.is_cjk(text[start]), pieces + 1
        ends[start] = start + 1
        if start in inside:
            continue
        candidates = [
            end
            for end in range(min(start + longest, len(text)), start, -1)
            if end not in inside and text[start:end] in terms
        ]
        if start in latin:
            candidates.append(latin[start])
        for end in sorted(candidates, reverse=True):
            over, pieces = best[end]
            if (over, pieces + 1) < best[start] or ((over, pieces + 1) == best[start] and end > ends[start]):
                best[start] = over, pieces + 1
                ends[start] = end
    result = []
    at = 0
    while at < len(text):
        result.append((at, ends[at]))
        at = ends[at]
    return result
