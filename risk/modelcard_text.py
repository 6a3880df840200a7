"""The prose of the model card, Chinese and English, with places for the figures of a run."""

from __future__ import annotations

HEAD = """
# {name}

digest `{digest}`
"""

ZH = """
## 中文

- **用途**：仅凭增值税发票月度汇总（`tax.vat_invoice_summary`）为小微企业信贷审查提供参考分。
  分数是建议，是否放贷由机构决定。
- **样本**：全国大学生数学建模竞赛2020年C题附件1，{n}家有信贷记录的企业，其中{bad}家违约（{rate}%）。
  观察窗口{first}至{as_of}，共{window}个月。附件2的302家无信贷记录，不参与训练。
- **标签**：`firms.csv`的default字段。**违约日期未公布**，因此无法排除部分发票发生在违约之后，结果可能偏乐观。
  作为旁证：用同样的折外模型评估同一批企业十二个月之前的数据（{n_before}家），AUC为{auc_before}。
- **不使用**：银行信誉评级`rating`。该评级在知道结果之后给出（D级24家全部违约），训练程序不读取。
- **方法**：分位预分段，按业务方向单调合并；证据权重向样本均值收缩（{pseudo}家虚拟企业）；系数非负的岭回归
  （强度{penalty}）。分段、特征选择、强度均在每一折内重新学习。
  候选特征清单是在看过本样本单特征表现之后拟定的，这一步不在折内，因此结果略偏乐观。
- **效果**（{scheme}折外，95%区间）：AUC {auc}（折均值，Nadeau-Bengio修正）；
  AUC {auc_pooled}、KS {ks}、对数损失{log_loss}（折外合并，按企业自助抽样）；校准斜率{slope}。
- **截距的含义**：截距{intercept}（{base_points}分）对应样本{rate}%的违约率，**不是**任何机构客户群的违约率。
  违约概率须按机构自己的组合重新校准截距后才能用于定价或拨备。样本平均分{mean_points}。
- **缺失**：历史不足{history}个月、必需月份未采集、必需字段未提供，一律拒评并说明缺什么，不以零或均值代替。
  训练中从未出现的缺失状态也拒评。历史短于训练样本最短的{trained_history}个月时给分并标注`short_history`。
- **局限**：只有{bad}家违约，区间很宽；样本为竞赛数据，行业、地区、年份单一，早于2020年疫情；
  未检验行业、地区、所有制公平性；社保、用电等数据只反映在覆盖情况中，不影响分数。投产前须以本地数据验证。
- **泄漏警示**（单特征AUC高于0.9或信息值高于0.5，须人工确认）：{alarms}。
"""

ENGLISH = """
## English

- **Use**: a reference score for loans to small firms from monthly VAT invoice totals alone
  (`tax.vat_invoice_summary`). A suggestion; the lender decides.
- **Sample**: CUMCM 2020 problem C, annex 1: {n} Chinese firms with a credit record, {bad} defaults ({rate} %),
  seen over {window} months, {first} to {as_of}. The 302 firms of annex 2 have no outcome and teach nothing.
- **Label**: column `default` of `firms.csv`. **The date of default is not published**, so some invoices may lie after
  it and the figures may flatter. Circumstantial evidence: the same out-of-fold models, shown the same firms
  twelve months earlier ({n_before} of them), reach an AUC of {auc_before}.
- **Not used**: the bank's `rating`, given knowing the outcome (24 of 24 D firms defaulted). Training does not read it.
- **Method**: quantile pre-bins, pooled to be monotone in the declared direction; weight of evidence shrunk toward the
  sample with {pseudo} pseudo-firms; ridge logistic, coefficients not negative (strength {penalty}). Bins, choice and
  strength are learned again inside every fold. The list of candidates was drawn up after looking at single
  characteristics on this very sample; that choice lies outside the folds, so the figures are somewhat optimistic.
- **Performance** ({scheme} out of fold, 95 % intervals): AUC {auc} (fold means, Nadeau-Bengio);
  AUC {auc_pooled}, KS {ks}, log-loss {log_loss} (pooled, bootstrap over firms); calibration slope {slope}.
- **Meaning of the intercept**: {intercept} ({base_points} points) stands for the sample's {rate} % of defaults and for
  no lender's portfolio. Refit the intercept on the portfolio before a PD prices or provisions anything.
  The mean training firm has {mean_points} points.
- **Missing**: under {history} months since the first invoice, months of the window not collected, or fields not
  released: no score, and the answer names what is missing. A missing state the training never saw is refused as well.
  Histories under {trained_history} months, the shortest seen in training, are scored and flagged `short_history`.
- **Limits**: {bad} defaults only, so the intervals are wide; contest data of few trades and years before the epidemic
  of 2020; fairness by trade, region and ownership untested; social insurance, electricity and the like show in the
  coverage and do not move the score. Validate on local data before use.
- **Leakage alarm** (a single characteristic with AUC above 0.9 or information above 0.5, a person must look): {alarms}.
"""
